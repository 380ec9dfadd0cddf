/** Reads experts' records, a few at a time and each once: what is read ahead is what a demand for it gets. */
import { orAborted, throwIfAborted, turnOrAborted } from '../errors/index.ts';
import type { RecordPlan, Urgency } from '../store/index.ts';
import type { ExpertCounts } from './counts.ts';
import type { MemoryTier } from './memory.ts';

/** Where experts' records come from: the store, the network behind it, or a file read in place. */
export interface ExpertSource {
  readonly read: (plan: RecordPlan, signal?: AbortSignal, urgency?: Urgency) => Promise<Uint8Array>;
  readonly isNear: (plan: RecordPlan) => boolean;
}

/** Reads that go on at once; more only queue behind each other in storage, and each holds a record. */
const N_READS = 3;

export class ExpertReads {
  private readonly waiting: (() => void)[] = [];
  private idleWaiters: (() => void)[] = [];
  private nReads = 0;
  /** Reads that nobody waited for when they began; null where one failed. */
  private readonly underWay = new Map<number, Promise<Uint8Array | null>>();
  private readonly life = new AbortController();

  constructor(
    private readonly source: ExpertSource,
    private readonly memory: MemoryTier,
    private readonly counts: ExpertCounts,
  ) {}

  /** Fires when the experts are given back. */
  get ended(): AbortSignal {
    return this.life.signal;
  }

  isNear(record: RecordPlan): boolean {
    return this.source.isNear(record);
  }

  /**
   * A record that is waited for, from memory or from where it lies.
   * @throws {FloeError} what reading it throws; `request/aborted`.
   */
  async demand(key: number, record: RecordPlan, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const held = this.memory.get(key);
    if (held) {
      this.counts.fromMemory++;
      return held;
    }
    const under = this.underWay.get(key);
    const ahead = under ? await orAborted(under, signal) : null;
    if (ahead) {
      this.counts.fromStorage++;
      return ahead;
    }
    const isNear = this.source.isNear(record);
    const bytes = await this.inLane(() => this.source.read(record, signal, 'demand'), signal);
    this.counts[isNear ? 'fromStorage' : 'fromNetwork']++;
    this.memory.offer(key, bytes);
    return bytes;
  }

  /** Reads a record that is near as far as memory, if nothing else is read now. Settles with the read, whatever became of it. */
  async ahead(key: number, record: RecordPlan): Promise<void> {
    const { memory, source, life } = this;
    if (this.nReads > 0 || life.signal.aborted) return;
    if (record.sizeBytes > memory.budgetBytes || !source.isNear(record)) return;
    const read = this.inLane(() => source.read(record, life.signal, 'ahead')).then(
      (bytes) => {
        if (!life.signal.aborted) memory.offer(key, bytes);
        return bytes;
      },
      // Whoever wants it will hear why it can't be read.
      () => null,
    );
    this.underWay.set(key, read);
    await read;
    this.underWay.delete(key);
  }

  /** Resolves once nothing is read. @throws {RequestError} `request/aborted` */
  async whenIdle(signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    if (this.nReads > 0) await orAborted(new Promise<void>((resolve) => this.idleWaiters.push(resolve)), signal);
  }

  /** Ends what is read ahead; resolves when it has ended. */
  async destroy(): Promise<void> {
    this.life.abort();
    await Promise.all(this.underWay.values());
  }

  private async inLane<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.nReads < N_READS) this.nReads++;
    else
      await turnOrAborted(new Promise<void>((resolve) => this.waiting.push(resolve)), () => this.leaveLane(), signal);
    try {
      return await work();
    } finally {
      this.leaveLane();
    }
  }

  /** Who waits is given the lane: nobody who comes between can take it as well. */
  private leaveLane(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.nReads--;
    if (this.nReads === 0) this.wakeIdle();
  }

  private wakeIdle(): void {
    const { idleWaiters } = this;
    this.idleWaiters = [];
    for (const wake of idleWaiters) wake();
  }
}
