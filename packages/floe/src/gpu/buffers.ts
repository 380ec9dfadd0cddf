import { GpuError, InternalError } from '../errors/index.ts';

/** What a buffer is for; the account and the memory report are by it. */
export type BufferPurpose = 'weights' | 'experts' | 'adapters' | 'kv' | 'activations' | 'other';

/** A range of a GPU buffer, as a kernel binds it. Offsets are multiples of 256. */
export interface BufferView {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** The largest alignment WebGPU may ask of a bound offset. */
export const BINDING_ALIGNMENT = 256;

/** `n` rounded up to a multiple of `step`. */
export function roundUp(n: number, step: number): number {
  return Math.ceil(n / step) * step;
}

/** Makes GPU buffers and keeps the account of every byte. Nothing else in Floe calls `createBuffer`. */
export class BufferAccount {
  private readonly live = new Map<GPUBuffer, BufferPurpose>();

  constructor(private readonly gpu: GPUDevice) {}

  /**
   * A storage buffer that can also be copied from and to. Zeroed. Kernels bind it whole.
   *
   * @throws {GpuError} `gpu/limits`: it is larger than this device can bind.
   */
  storage(purpose: BufferPurpose, label: string, sizeBytes: number): GPUBuffer {
    this.checkLimit(label, sizeBytes, 'maxStorageBufferBindingSize');
    const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
    return this.create(purpose, label, sizeBytes, STORAGE | COPY_DST | COPY_SRC);
  }

  uniform(label: string, sizeBytes: number): GPUBuffer {
    return this.create('other', label, sizeBytes, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  }

  readback(label: string, sizeBytes: number): GPUBuffer {
    return this.create('other', label, sizeBytes, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
  }

  private create(purpose: BufferPurpose, label: string, sizeBytes: number, usage: number): GPUBuffer {
    const size = roundUp(Math.max(sizeBytes, 16), 16);
    this.checkLimit(label, size, 'maxBufferSize');
    const buffer = this.gpu.createBuffer({ label, size, usage });
    this.live.set(buffer, purpose);
    return buffer;
  }

  private checkLimit(label: string, sizeBytes: number, name: 'maxBufferSize' | 'maxStorageBufferBindingSize'): void {
    const limit = this.gpu.limits[name];
    if (sizeBytes <= limit) return;
    throw new GpuError('gpu/limits', `${label} needs ${sizeBytes} bytes; this device's ${name} is ${limit}.`, {
      remedy: 'Take a smaller context, model or quantization, or a device with larger limits.',
      details: { label, limit: name, neededBytes: sizeBytes, limitBytes: limit },
    });
  }

  destroy(buffer: GPUBuffer): void {
    if (!this.live.delete(buffer))
      throw new InternalError(`buffer ${buffer.label} was not made here, or twice destroyed`);
    buffer.destroy();
  }

  destroyAll(): void {
    for (const buffer of this.live.keys()) buffer.destroy();
    this.live.clear();
  }

  get count(): number {
    return this.live.size;
  }

  /** Live bytes by purpose. */
  bytes(): Record<BufferPurpose, number> {
    const sum: Record<BufferPurpose, number> = { weights: 0, experts: 0, adapters: 0, kv: 0, activations: 0, other: 0 };
    for (const [buffer, purpose] of this.live) sum[purpose] += buffer.size;
    return sum;
  }
}

/** A whole buffer as a view. */
export function whole(buffer: GPUBuffer): BufferView {
  return { buffer, offset: 0, sizeBytes: buffer.size };
}
