import { create, globals } from 'webgpu';

let gpu: GPU | undefined;

/**
 * WebGPU in Node, with its constants (`GPUBufferUsage` and so on) as globals. Which adapter it finds the environment
 * decides, which the test runner sets.
 */
export function testGpu(): GPU {
  Object.assign(globalThis, globals);
  // One for the process: devices of a collected instance stop working.
  gpu ??= create([]);
  return gpu;
}
