/** Experts between storage, memory and GPU: does what the pager decides, and counts what it did. */
import { InternalError, orAborted, RequestError, throwIfAborted } from '../errors/index.ts';
import type { RecordPlan } from '../store/index.ts';
import { type ExpertCounts, type LayerCounts, newCounts } from './counts.ts';
import { MemoryTier } from './memory.ts';
import { type Claim, Pager } from './pager.ts';
import { type CachePolicy, type DecayedCounts, decayedCounts } from './policy.ts';
import { ExpertReads, type ExpertSource } from './reads.ts';
import type { ExpertSlots } from './slots.ts';
import { SlotTurns } from './slotTurns.ts';

export interface ExpertSize {
  readonly nLayers: number;
  readonly nExperts: number;
  readonly nExpertsUsed: number;
}

export interface ExpertCacheOptions {
  readonly size: ExpertSize;
  readonly slots: ExpertSlots;
  /** [nLayers][nExperts]. */
  readonly records: readonly (readonly RecordPlan[])[];
  readonly source: ExpertSource;
  /** The most that records may take in this thread's memory. */
  readonly memoryBytes: number;
  /** By itself decayed counts. */
  readonly policy?: CachePolicy | undefined;
  /** What the last visit's counts were: its experts are the likeliest of this one. */
  readonly lastVisit?: Float32Array | undefined;
}

/** Where an expert is at best. */
export type Residence = 'resident' | 'cached' | 'stored' | 'absent';

/** Slots filled at once before the first token. */
const N_FILLED = 3;

export class ExpertCache {
  readonly counts: ExpertCounts;
  readonly pager: Pager;
  readonly memory: MemoryTier;
  readonly policy: CachePolicy;
  /** Tokens so far: the clock of the policy. */
  token = 0;
  private readonly loads = new Map<number, Promise<void>>();
  private readonly guessed: Uint8Array;
  private readonly keys: ReadonlyMap<RecordPlan, number>;
  private readonly reads: ExpertReads;
  private readonly turns = new SlotTurns();
  /** `bring`s that have all slots they want and were not released. */
  private nBrought = 0;
  private filling: Promise<void> | null = null;
  private wantsFill = false;

  constructor(private readonly options: ExpertCacheOptions) {
    const { size, slots } = options;
    this.policy = options.policy ?? warmed(decayedCounts({ ...size, nSlots: slots.nSlots }), options.lastVisit);
    this.pager = new Pager(size, slots.classes, this.policy);
    this.guessed = new Uint8Array(size.nLayers * size.nExperts);
    this.keys = new Map(
      options.records.flatMap((records, layer) => records.map((record, expert) => [record, this.keyOf(layer, expert)])),
    );
    this.counts = newCounts(size.nLayers);
    // What has a slot counts like the rest: its bytes can't be had back from there, and once its slot is another's they
    // are wanted. Records without a slot that were kept before all others would stay for good, and memory be of no use.
    this.memory = new MemoryTier(options.memoryBytes, (key) => this.policy.score(key, this.token));
    this.reads = new ExpertReads(options.source, this.memory, this.counts);
  }

  get slots(): ExpertSlots {
    return this.options.slots;
  }

  get size(): ExpertSize {
    return this.options.size;
  }

  /** Whether every expert has a slot: then no step can miss. */
  get allResident(): boolean {
    return this.pager.allResident;
  }

  /** Of the largest record. */
  get recordBytes(): number {
    return Math.max(...this.slots.classes.map(({ slotBytes }) => slotBytes));
  }

  keyOf(layer: number, expert: number): number {
    return layer * this.size.nExperts + expert;
  }

  residence(key: number): Residence {
    if (this.pager.isNamed(key)) return 'resident';
    if (this.memory.has(key)) return 'cached';
    return this.reads.isNear(this.recordOf(key)) ? 'stored' : 'absent';
  }

  /** Notes that `n` tokens were routed to an expert which had a slot, or had none; whether it had one by a guess only. */
  routed(layer: number, key: number, isHit: boolean, n = 1, weight = n): boolean {
    this.count(layer, isHit ? 'hits' : 'misses', n);
    const byGuess = isHit && this.guessed[key] === 1;
    if (byGuess) this.count(layer, 'usefulGuesses');
    this.guessed[key] = 0;
    this.pager.used(key, this.token, weight);
    return byGuess;
  }

  /**
   * Sees that all of `keys` have slots, and that they keep them until the returned function is called: once what reads
   * them is submitted. Their bytes and table entries are on the queue by then. It may wait for a slot until others
   * release theirs, or let a layer go: whoever calls it must hold none itself.
   *
   * @throws {FloeError} what reading a record throws; those that did come stay. `request/aborted` at once, whoever else it
   *   waits for.
   */
  async bring(keys: readonly number[], signal?: AbortSignal): Promise<() => void> {
    const loads: Promise<void>[] = [];
    const endTurn = await this.turns.take(signal);
    for (const key of keys) this.pager.pin(key);
    const secured = keys.map((key) => this.secure(key, signal, loads));
    const isSecured = await Promise.allSettled(secured);
    this.nBrought++;
    endTurn();
    const release = () => {
      this.nBrought--;
      for (const key of keys) this.pager.unpin(key);
      this.turns.wake();
    };
    // All end before any is reported: a load that goes on would fill a slot behind our back.
    const failed = [...isSecured, ...(await Promise.allSettled(loads))].find(({ status }) => status === 'rejected');
    if (failed || signal?.aborted) release();
    if (failed?.status === 'rejected') throw failed.reason;
    throwIfAborted(signal);
    return release;
  }

  /** The routing of `layer` is submitted and what reads its experts is not: until `letGo` they keep their slots. */
  hold(layer: number): void {
    this.pager.hold(layer);
  }

  letGo(layer: number): void {
    this.pager.letGo(layer);
    this.turns.wake();
  }

  /** Fills free slots with experts that are near, those of the highest score first: at load, before the first token. */
  async fill(signal?: AbortSignal, onLoaded: (record: RecordPlan) => void = () => {}): Promise<void> {
    const loads: Promise<void>[] = [];
    try {
      for (const key of this.byWorth()) {
        const claim = this.claimFree(key);
        if (!claim) continue;
        const load = this.load(claim, signal).then(() => onLoaded(this.recordOf(key)));
        // One that fails while an earlier one is waited for is heard of in its turn.
        load.catch(() => {});
        loads.push(load);
        if (loads.length >= N_FILLED) await loads.shift();
      }
      await Promise.all(loads);
    } finally {
      // As in `bring`: none goes on behind our back.
      await Promise.allSettled(loads);
    }
  }

  /**
   * Gives free slots, and then memory, what is near by now, while nobody waits for storage; once more where it is called
   * again meanwhile: at load, and whenever records have arrived.
   */
  fillUp(): Promise<void> {
    this.wantsFill = true;
    this.filling ??= this.fillAll().finally(() => {
      this.filling = null;
    });
    return this.filling;
  }

  private async fillAll(): Promise<void> {
    const { ended } = this.reads;
    while (this.wantsFill && !ended.aborted) {
      this.wantsFill = false;
      // Ended while it waited: there is nobody left to fill anything for.
      await this.fillFree(ended).catch(() => {});
      await this.fillMemory(ended).catch(() => {});
    }
  }

  private async fillFree(signal: AbortSignal): Promise<void> {
    for (const key of this.byWorth()) {
      if (!this.fitsFree(key)) continue;
      await this.reads.whenIdle(signal);
      const claim = this.claimFree(key);
      // One that can't be read now is no reason to leave the others out.
      if (claim) await this.load(claim, signal).catch(() => {});
    }
  }

  /** Whether it is near and has no slot, and there is a free one. */
  private fitsFree(key: number): boolean {
    const { pager } = this;
    if (pager.isNamed(key) || pager.isLoading(key) || !this.reads.isNear(this.recordOf(key))) return false;
    return pager.nFree(this.layerOf(key)) > 0;
  }

  /** A free slot for an expert that is near; null where that would cost another its own. */
  private claimFree(key: number): Claim | null {
    return this.fitsFree(key) ? this.pager.claim(key, this.token) : null;
  }

  /** Reads records that are near into memory while there is room and nobody waits for storage, the likeliest first. */
  async fillMemory(signal: AbortSignal): Promise<void> {
    for (const key of this.byWorth()) {
      const record = this.recordOf(key);
      if (this.memory.usedBytes + record.sizeBytes > this.memory.budgetBytes) return;
      if (this.pager.isNamed(key) || this.memory.has(key) || !this.reads.isNear(record)) continue;
      await this.reads.whenIdle(signal);
      await this.reads.ahead(key, record);
    }
  }

  /**
   * Loads an expert that may be wanted soon, if that harms nobody: from memory to a slot; from storage only as far as
   * memory, while nobody waits for storage. True if it came to a slot.
   */
  guess(key: number): boolean {
    if (this.pager.isNamed(key) || this.pager.isLoading(key)) return false;
    const record = this.memory.get(key);
    if (!record) {
      void this.reads.ahead(key, this.recordOf(key));
      return false;
    }
    const claim = this.pager.claimAhead(key, this.token);
    if (!claim) return false;
    this.forget(claim);
    this.counts.guesses++;
    this.counts.fromMemory++;
    this.write(claim, record);
    this.guessed[key] = 1;
    return true;
  }

  /** Of records that are still to come the one with the most uses to expect; what is no expert comes before all of them. */
  likeliest(missing: readonly RecordPlan[]): RecordPlan | undefined {
    const worth = (record: RecordPlan) => {
      const key = this.keys.get(record);
      return key === undefined ? Number.POSITIVE_INFINITY : this.policy.score(key, this.token);
    };
    let best = missing[0];
    for (const record of missing) if (worth(record) > worth(best!)) best = record;
    return best;
  }

  /** What the next visit may go on from; null where the policy keeps nothing. */
  snapshot(): Float32Array | null {
    return 'snapshot' in this.policy ? (this.policy as DecayedCounts).snapshot(this.token) : null;
  }

  /** Gives back what this thread's memory holds. When it ends, nothing is read ahead any longer. */
  async destroy(): Promise<void> {
    const ended = this.reads.destroy();
    this.memory.clear();
    await ended;
    await this.filling;
  }

  /** Keys of all experts that exist, best score first; of equals the first experts of each layer. */
  private byWorth(): number[] {
    const { nExperts } = this.size;
    const score = new Map([...this.keys.values()].map((key) => [key, this.policy.score(key, this.token)]));
    return [...score.keys()].sort((a, b) => score.get(b)! - score.get(a)! || (a % nExperts) - (b % nExperts) || a - b);
  }

  /** Ends when `key` has a slot, or one that it is loaded to: that load is among `loads` then. */
  private async secure(key: number, signal: AbortSignal | undefined, loads: Promise<void>[]): Promise<void> {
    while (!this.pager.isNamed(key)) {
      const under = this.loads.get(key);
      const claim = under ? null : this.pager.claim(key, this.token);
      if (claim) {
        loads.push(this.load(claim, signal));
        return;
      }
      // Under way, or every slot is spoken for: what is loading ends, and is looked at again. If it was aborted, that was
      // not by us: it is begun anew.
      const mayChange = this.loads.size > 0 || this.nBrought > 0 || this.pager.holdsAny;
      if (!under && !mayChange) throw new InternalError(`no slot for expert ${key}: all are wanted`);
      await orAborted(under ? under.catch(() => {}) : this.turns.changed(), signal);
    }
  }

  private load(claim: Claim, signal: AbortSignal | undefined): Promise<void> {
    const { key } = claim;
    this.forget(claim);
    const load = this.reads.demand(key, this.recordOf(key), signal).then(
      (bytes) => this.write(claim, bytes),
      (error: unknown) => {
        this.pager.failed(claim);
        throw error;
      },
    );
    this.loads.set(key, load);
    const end = () => {
      this.loads.delete(key);
      this.turns.wake();
    };
    load.then(end, end);
    return load;
  }

  private forget({ evicted }: Claim): void {
    if (evicted === null) return;
    this.slots.forget(evicted);
    const layer = this.layerOf(evicted);
    this.count(layer, 'evictions');
    if (this.guessed[evicted]) this.count(layer, 'uselessGuesses');
    this.guessed[evicted] = 0;
  }

  private write(claim: Claim, record: Uint8Array): void {
    this.slots.fill(claim.key, claim.slot, record);
    this.pager.arrived(claim);
    this.counts.loads++;
    this.count(this.layerOf(claim.key), 'movedBytes', record.byteLength);
  }

  /** Adds to the whole and to a layer. */
  count(layer: number, what: keyof LayerCounts, n = 1): void {
    this.counts[what] += n;
    this.counts.layers[layer]![what] += n;
  }

  /** Where an expert's bytes come from. */
  recordOf(key: number): RecordPlan {
    return this.options.records[this.layerOf(key)]![key % this.size.nExperts]!;
  }

  private layerOf(key: number): number {
    return Math.floor(key / this.size.nExperts);
  }
}

/** Goes on from the last visit, unless what it left is not of this model. */
function warmed(policy: DecayedCounts, lastVisit: Float32Array | undefined): DecayedCounts {
  try {
    if (lastVisit) policy.restore(lastVisit);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
  }
  return policy;
}
