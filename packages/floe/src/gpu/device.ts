import { GpuError } from '../errors/index.ts';
import { BufferAccount } from './buffers.ts';
import { PipelineCache } from './pipelines.ts';

/**
 * How a hot kernel is written for this device. 'cooperative': the lanes of a subgroup (or, where there is none, of a
 * part of a workgroup) share a row, and loads coalesce. 'thread': one invocation owns its rows alone and meets no
 * barrier, which is what an adapter made of software runs well (docs/performance.md).
 */
export type KernelFamily = 'cooperative' | 'thread';

export interface DeviceOptions {
  /** 'adapter': ask for all the adapter offers. 'default': WebGPU's defaults and no feature, as the least of devices has. */
  readonly limits?: 'adapter' | 'default';
  /** Overrides the choice by the adapter's kind, for tests and benches. */
  readonly family?: KernelFamily;
}

/** What is known of the adapter a device is of. */
export interface AdapterFacts {
  readonly description: string;
  readonly software: boolean;
  /** Lanes of a subgroup at the most; 128, WebGPU's own limit, where the adapter does not say. */
  readonly subgroupMaxSize: number;
}

/** A WebGPU device with the account of its memory and its compiled pipelines. */
export class Device {
  readonly buffers: BufferAccount;
  readonly pipelines: PipelineCache;
  /** Set once the device is gone; every wait on it then rejects with `gpu/lost`. */
  lostError: GpuError | null = null;
  /** Counted, so that tests assert the cause of speed and not a time. */
  readonly counts = { submits: 0, dispatches: 0, mapAsync: 0, writtenBytes: 0 };
  /** The first error that no scope took: the device computes nothing that can be trusted after it. */
  private uncaptured: GpuError | null = null;

  constructor(
    readonly gpu: GPUDevice,
    readonly adapter: AdapterFacts,
    readonly family: KernelFamily,
  ) {
    this.buffers = new BufferAccount(gpu);
    this.pipelines = new PipelineCache(gpu);
    void gpu.lost.then((info) => {
      this.lostError = new GpuError('gpu/lost', `The GPU device was lost (${info.reason}): ${info.message}`, {
        remedy: 'Load the model again; if it happens again, close other tabs or take a smaller model.',
        retryable: true,
      });
    });
    gpu.onuncapturederror = (event) => {
      this.uncaptured ??= deviceError(event.error);
    };
  }

  get hasSubgroups(): boolean {
    return this.gpu.features.has('subgroups');
  }

  /** Throws if the device is lost or has reported an error: WebGPU reports late, and to nobody who asks. */
  throwIfFailed(): void {
    if (this.lostError) throw this.lostError;
    if (this.uncaptured) throw this.uncaptured;
  }

  /** Runs `work` and throws what the device made of it, memory that was not there first of all. One at a time. */
  async checked<T>(work: () => Promise<T>): Promise<T> {
    const { gpu } = this;
    gpu.pushErrorScope('validation');
    gpu.pushErrorScope('out-of-memory');
    // Both at once: between them another call might push its own.
    const scopes = () => Promise.all([gpu.popErrorScope(), gpu.popErrorScope()]);
    const result = await work().catch(async (error: unknown) => {
      await scopes();
      throw error;
    });
    const [outOfMemory, invalid] = await scopes();
    const error = outOfMemory ?? invalid;
    if (error) throw deviceError(error, outOfMemory !== null);
    return result;
  }

  submit(commands: GPUCommandBuffer): void {
    this.counts.submits++;
    this.gpu.queue.submit([commands]);
  }

  /** Writes bytes in pieces of 4 MiB: larger ones make the browser allocate a staging buffer of their size. */
  write(buffer: GPUBuffer, offset: number, bytes: Uint8Array): void {
    const PIECE_BYTES = 4 << 20;
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      this.gpu.queue.writeBuffer(buffer, offset + at, piece as Uint8Array<ArrayBuffer>);
    }
    this.counts.writtenBytes += bytes.byteLength;
  }

  /** Gives back every buffer and the device itself. */
  destroy(): void {
    this.buffers.destroyAll();
    this.gpu.destroy();
  }
}

function deviceError(error: GPUError, outOfMemory = isOutOfMemory(error)): GpuError {
  return new GpuError(outOfMemory ? 'gpu/out-of-memory' : 'gpu/compile', `WebGPU reported: ${error.message}`, {
    remedy: outOfMemory
      ? 'Give a smaller `budget.gpuBytes` where the model has experts, take a smaller model, or close other tabs that use the GPU.'
      : 'This is a fault of Floe or of the driver: please report it with the browser and GPU you have.',
  });
}

function isOutOfMemory(error: GPUError): boolean {
  return 'GPUOutOfMemoryError' in globalThis && error instanceof GPUOutOfMemoryError;
}

/** Asks for a device with all the adapter offers (or with nothing above the defaults). @throws {GpuError} gpu/unavailable */
export async function openDevice(gpu: GPU | null, options: DeviceOptions = {}): Promise<Device> {
  const remedy =
    'Use a current Chrome, Edge, Firefox or Safari with hardware acceleration on; see chrome://gpu, or about:support in Firefox.';
  if (!gpu) throw new GpuError('gpu/unavailable', 'This browser has no WebGPU (navigator.gpu is missing).', { remedy });
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new GpuError('gpu/unavailable', 'WebGPU is there, but it found no GPU adapter.', { remedy });
  const device = await adapter
    .requestDevice(options.limits === 'default' ? {} : everythingOf(adapter))
    .catch((cause) => {
      throw new GpuError('gpu/unavailable', `The GPU adapter refused a device: ${String(cause?.message ?? cause)}`, {
        remedy,
        cause,
      });
    });
  const software = isSoftware(adapter);
  const description =
    adapter.info.description || adapter.info.device || adapter.info.architecture || adapter.info.vendor;
  return new Device(
    device,
    { description: description || 'unnamed adapter', software, subgroupMaxSize: adapter.info.subgroupMaxSize ?? 128 },
    options.family ?? (software ? 'thread' : 'cooperative'),
  );
}

const LIMITS = [
  'maxStorageBuffersPerShaderStage',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;
const FEATURES = ['subgroups'] as const;

function everythingOf(adapter: GPUAdapter): GPUDeviceDescriptor {
  return {
    requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]])),
  };
}

function isSoftware(adapter: GPUAdapter): boolean {
  const info = adapter.info;
  return (
    info.isFallbackAdapter === true ||
    /swiftshader|llvmpipe|lavapipe|warp|basic render/i.test(
      `${info.vendor} ${info.architecture} ${info.description} ${info.device}`,
    )
  );
}
