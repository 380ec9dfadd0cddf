import { describe, expect, it } from 'vitest';
import { testGpu } from './nodeGpu.ts';

describe('testGpu', () => {
  it('is one WebGPU with its constants as globals, whose device counts', async () => {
    expect(testGpu()).toBe(testGpu());
    expect(GPUBufferUsage.STORAGE).toBeGreaterThan(0);
    const adapter = await testGpu().requestAdapter();
    expect(adapter, 'no adapter: run through `pnpm unit`, which sets the environment').not.toBeNull();
    const device = await adapter!.requestDevice();
    const buffer = device.createBuffer({ size: 4, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    device.queue.writeBuffer(buffer, 0, Uint32Array.of(4711));
    await buffer.mapAsync(GPUMapMode.READ);
    expect(new Uint32Array(buffer.getMappedRange())[0]).toBe(4711);
    device.destroy();
  });
});
