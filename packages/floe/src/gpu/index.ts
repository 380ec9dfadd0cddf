export { BINDING_ALIGNMENT, BufferAccount, type BufferPurpose, type BufferView, roundUp, whole } from './buffers.ts';
export { Device, type DeviceOptions, type KernelFamily, openDevice } from './device.ts';
export { type Pipeline, PipelineCache, type PipelineSpec, pipelineKey } from './pipelines.ts';
export { type PendingRead, Readback, type ReadPart, readBuffer } from './readback.ts';
export { type Dispatch, Graph, Recorder } from './recorder.ts';
export { compose, type Shader, type ShaderPart } from './shader.ts';
