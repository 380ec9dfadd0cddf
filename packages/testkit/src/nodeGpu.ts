import { create, globals } from 'webgpu';
import { sharedGpu } from './sharedGpu.ts';

let gpu: GPU | undefined;

/**
 * WebGPU in Node, with its constants (`GPUBufferUsage` and so on) as globals. Which adapter it finds the environment
 * decides, which the test runner sets. Kernels of the same text are compiled once in a process (sharedGpu.ts).
 */
export function testGpu(): GPU {
  Object.assign(globalThis, globals);
  // One for the process: devices of a collected instance stop working.
  gpu ??= sharedGpu(create([]));
  return gpu;
}
