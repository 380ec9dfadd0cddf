/** Single dispatches of a recorded graph, as jobs to time. */
import { type BufferView, type Device, type Graph, Recorder } from '../packages/floe/src/gpu/index.ts';
import { NO_FAULT } from '../packages/floe/src/kernels/index.ts';
import type { Job } from './timing.ts';

/** A buffer whose word says that no fault was met. */
export function noFault(device: Device): BufferView {
  const buffer = device.buffers.storage('other', 'fault', 256);
  device.write(buffer, 0, new Uint8Array(new Uint32Array([NO_FAULT]).buffer));
  return { buffer, offset: 0, sizeBytes: 256 };
}

/** One job for each dispatch that `record` makes. */
export async function jobsOf(
  device: Device,
  fault: BufferView,
  record: (rec: Recorder) => void,
): Promise<{ graph: Graph; jobs: (Job & { kernel: string; variant: string })[] }> {
  const rec = new Recorder(device, fault);
  record(rec);
  const graph = await rec.finish('bench');
  const faultGroup = device.gpu.createBindGroup({
    layout: device.pipelines.faultLayout,
    entries: [{ binding: 0, resource: { buffer: fault.buffer, offset: fault.offset, size: fault.sizeBytes } }],
  });
  const jobs = graph.steps.map((step, i) => ({
    name: `${i} ${step.name}`,
    kernel: step.name,
    variant: `${step.pipeline.label} @${step.workgroups.join('×')}`,
    encode: (pass: GPUComputePassEncoder) => {
      pass.setPipeline(step.pipeline);
      pass.setBindGroup(0, step.group);
      if (step.readsFault) pass.setBindGroup(1, faultGroup);
      pass.dispatchWorkgroups(...step.workgroups);
    },
  }));
  return { graph, jobs };
}
