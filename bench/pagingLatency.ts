/** A way to the host as slow as declared, at the one seam where a GPU enters: its own objects. */

export interface DeclaredLatency {
  /** Added to every read-back that ends from now on; 0: none. */
  ms: number;
}

/**
 * From now on each buffer made for reading back is mapped `ms` later than the device has it: by a timer, while other
 * work goes on. Where an adapter's own way back takes a tenth of a millisecond, no schedule has anything to hide.
 */
export function declareLatency(gpu: GPUDevice): DeclaredLatency {
  const latency: DeclaredLatency = { ms: 0 };
  const create = gpu.createBuffer.bind(gpu);
  gpu.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    if (!(descriptor.usage & GPUBufferUsage.MAP_READ)) return buffer;
    const map = buffer.mapAsync.bind(buffer);
    buffer.mapAsync = async (...args) => {
      await map(...args);
      if (latency.ms > 0) await new Promise((resolve) => setTimeout(resolve, latency.ms));
      return undefined;
    };
    return buffer;
  };
  return latency;
}
