import { GpuError } from '../errors/index.ts';
import type { Device } from './device.ts';

/** Copies a range of a buffer to the host. One `mapAsync`; the buffer it maps is kept for the next call. */
export class Readback {
  private readonly free: GPUBuffer[] = [];

  constructor(
    private readonly device: Device,
    private readonly sizeBytes: number,
  ) {}

  /** Encodes the copy now; `wait` after the submit. */
  copy(encoder: GPUCommandEncoder, source: GPUBuffer, offset = 0, sizeBytes = this.sizeBytes): PendingRead {
    return this.copyParts(encoder, [{ source, offset, sizeBytes }]);
  }

  /** The same for several ranges, which come one behind the other. */
  copyParts(encoder: GPUCommandEncoder, parts: readonly ReadPart[]): PendingRead {
    const staging = this.free.pop() ?? this.device.buffers.readback('readback', this.sizeBytes);
    let sizeBytes = 0;
    for (const part of parts) {
      encoder.copyBufferToBuffer(part.source, part.offset, staging, sizeBytes, part.sizeBytes);
      sizeBytes += part.sizeBytes;
    }
    return {
      wait: async () => {
        this.device.counts.mapAsync++;
        let bytes: ArrayBuffer;
        try {
          await staging.mapAsync(GPUMapMode.READ, 0, sizeBytes);
          bytes = staging.getMappedRange(0, sizeBytes).slice(0);
          staging.unmap();
        } catch (cause) {
          this.device.buffers.destroy(staging);
          this.device.throwIfFailed();
          throw new GpuError('gpu/lost', 'A result could not be read back from the GPU.', {
            remedy: 'Load the model again.',
            retryable: true,
            cause,
          });
        }
        this.free.push(staging);
        this.device.throwIfFailed();
        return bytes;
      },
    };
  }

  destroy(): void {
    for (const buffer of this.free.splice(0)) this.device.buffers.destroy(buffer);
  }
}

/** A range of a buffer to read back; bytes in multiples of 4. */
export interface ReadPart {
  readonly source: GPUBuffer;
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface PendingRead {
  readonly wait: () => Promise<ArrayBuffer>;
}

/** Reads a range once. For loading, tests and log-probabilities, not for the way of a token. */
export async function readBuffer(
  device: Device,
  buffer: GPUBuffer,
  offset: number,
  sizeBytes: number,
): Promise<ArrayBuffer> {
  const readback = new Readback(device, sizeBytes);
  const encoder = device.gpu.createCommandEncoder();
  const pending = readback.copy(encoder, buffer, offset, sizeBytes);
  device.submit(encoder.finish());
  try {
    return await pending.wait();
  } finally {
    readback.destroy();
  }
}
