/** For tests of paging without a GPU: a queue that does what it was given in order, at moments a test chooses. */
import type { Device } from '../gpu/index.ts';

/** The bytes of a buffer at two moments. */
export interface SimulatedBuffer {
  readonly label: string;
  readonly size: number;
  /** What the submission that runs now reads. */
  readonly now: Uint8Array<ArrayBuffer>;
  /** What a submission made now will read: all that is queued is done by then. */
  readonly next: Uint8Array<ArrayBuffer>;
}

/** As WebGPU says of its one queue: a write takes its bytes at once and is done behind what was submitted before. */
export class SimulatedQueue {
  /** As much of a device as `ExpertSlots` asks for. */
  readonly device: Device;
  /** Hears of each write when it is done, not when it is queued. */
  onWritten: (buffer: SimulatedBuffer, offset: number) => void = () => {};
  private readonly work: (() => void)[] = [];
  private readonly buffers = new Map<GPUBuffer, SimulatedBuffer>();

  constructor(maxBindingBytes = 1 << 20) {
    const device = {
      gpu: { limits: { maxStorageBufferBindingSize: maxBindingBytes, maxBufferSize: maxBindingBytes } },
      buffers: { storage: (_: string, label: string, sizeBytes: number) => this.make(label, sizeBytes) },
      write: (buffer: GPUBuffer, offset: number, bytes: Uint8Array) => this.write(buffer, offset, bytes),
    };
    this.device = device as unknown as Device;
  }

  get nQueued(): number {
    return this.work.length;
  }

  /** Bytes of all buffers. */
  get sizeBytes(): number {
    return [...this.buffers.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Queues a submission: `run` is called when its turn has come. */
  submit(run: () => void): void {
    this.work.push(run);
  }

  /** Does the next write or submission, if there is one. */
  runNext(): void {
    this.work.shift()?.();
  }

  contents(buffer: GPUBuffer): SimulatedBuffer {
    const found = this.buffers.get(buffer);
    if (!found) throw new RangeError('a buffer of another device');
    return found;
  }

  private make(label: string, size: number): GPUBuffer {
    const buffer = { label, size, now: new Uint8Array(size), next: new Uint8Array(size) };
    const handle = buffer as unknown as GPUBuffer;
    this.buffers.set(handle, buffer);
    return handle;
  }

  private write(handle: GPUBuffer, offset: number, bytes: Uint8Array): void {
    const buffer = this.contents(handle);
    if (offset % 4 !== 0 || bytes.length % 4 !== 0) throw new RangeError(`${offset}, ${bytes.length}: not in words`);
    const copy = bytes.slice();
    // Throws where it is out of bounds.
    buffer.next.set(copy, offset);
    this.work.push(() => {
      buffer.now.set(copy, offset);
      this.onWritten(buffer, offset);
    });
  }
}
