import type { Device } from '../gpu/index.ts';

/** Submissions under way: the device stays busy, and an abort is noticed soon. */
const IN_FLIGHT = 2;
/** Tokens times layers of a submission: a short text is one, a long one never holds the device for long. */
const SUBMITTED = 4096;

/** Work that is put together until it is worth a submission. */
export class Submissions {
  private current: GPUCommandEncoder | null = null;
  private nTokens = 0;
  private readonly underWay: Promise<unknown>[] = [];

  constructor(
    private readonly device: Device,
    private readonly onUnit: () => void,
  ) {}

  get encoder(): GPUCommandEncoder {
    this.current ??= this.device.gpu.createCommandEncoder();
    return this.current;
  }

  /** Says that so many tokens of a layer were encoded. */
  async add(nTokens: number): Promise<void> {
    this.nTokens += nTokens;
    if (this.nTokens >= SUBMITTED) await this.flush();
  }

  async flush(): Promise<void> {
    if (!this.current) return;
    this.onUnit();
    this.device.submit(this.current.finish());
    this.current = null;
    this.nTokens = 0;
    this.underWay.push(this.device.gpu.queue.onSubmittedWorkDone());
    if (this.underWay.length > IN_FLIGHT) await this.underWay.shift();
    this.device.throwIfFailed();
  }
}
