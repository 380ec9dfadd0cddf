/** For tests of paging without a GPU: what must be true of cache, table, slots and memory at each moment, and at the end. */
import { ABSENT } from '../kernels/index.ts';
import type { ExpertCache } from './cache.ts';
import type { SimulatedBuffer, SimulatedQueue } from './simulatedQueue.testing.ts';
import type { ExpertSlots } from './slots.ts';
import type { PagerWatch } from './watchPager.testing.ts';

export class SimulatedChecks {
  /** By layer. */
  private readonly places: readonly ReturnType<ExpertSlots['poolsOf']>[];
  /** Brought and not released: how often. */
  private readonly held = new Map<number, number>();

  constructor(
    private readonly cache: ExpertCache,
    private readonly queue: SimulatedQueue,
    private readonly watch: PagerWatch,
    private readonly broken: (what: string) => never,
  ) {
    this.places = cache.counts.layers.map((_, layer) => cache.slots.poolsOf(layer));
    queue.onWritten = (buffer, offset) => this.written(buffer, offset);
  }

  /** The slot that a submission which runs now finds in the table. */
  slotNow(key: number): number {
    const { now } = this.queue.contents(this.cache.slots.pageTable.buffer);
    return new Uint32Array(now.buffer, key * 4, 1)[0]!;
  }

  /** `slot` holds all of an expert's bytes; `who` says who found it so. */
  bytes(key: number, slot: number, when: 'now' | 'next', who: string): void {
    const { pools, slotBytes } = this.places[Math.floor(key / this.cache.size.nExperts)]!;
    const pool = pools.find(({ firstSlot, nSlots }) => slot >= firstSlot && slot < firstSlot + nSlots);
    if (!pool) throw this.broken(`${who} expert ${key} in slot ${slot}, which is not of its size`);
    const bytes = this.queue.contents(pool.view.buffer)[when];
    const first = (slot - pool.firstSlot) * slotBytes;
    for (let i = first; i < first + slotBytes; i++) {
      if (bytes[i] !== key + 1) this.broken(`${who} expert ${key} in slot ${slot}, which holds byte ${bytes[i]}`);
    }
  }

  /** What `ExpertCache.bring` promises: from now on these keep their slots. */
  hold(keys: readonly number[]): void {
    for (const key of keys) this.held.set(key, (this.held.get(key) ?? 0) + 1);
    this.heldAreNamed();
  }

  letGo(keys: readonly number[]): void {
    this.heldAreNamed();
    for (const key of keys) this.held.set(key, this.held.get(key)! - 1);
  }

  /** At each moment: the pager names slots of the right bytes, one each; the table says the same; memory keeps its budget. */
  now(): void {
    const { memory, pager } = this.cache;
    const seen = new Set<number>();
    let heldBytes = 0;
    for (let key = 0; key < pager.slotOf.length; key++) {
      heldBytes += memory.get(key)?.byteLength ?? 0;
      const slot = pager.slotOf[key]!;
      if (slot === ABSENT) continue;
      if (seen.has(slot)) this.broken(`two experts have slot ${slot}`);
      seen.add(slot);
      this.bytes(key, slot, 'next', 'the pager names');
    }
    if (heldBytes !== memory.usedBytes) this.broken(`memory holds ${heldBytes} bytes; it says ${memory.usedBytes}`);
    if (heldBytes > memory.budgetBytes) this.broken(`memory holds ${heldBytes} bytes of ${memory.budgetBytes}`);
    for (let layer = 0; layer < this.places.length; layer++) this.row(layer);
    this.heldAreNamed();
  }

  /** Behind everything: nothing is pinned or on its way, the GPU's table is the host's, and the counts are what was seen. */
  end(): void {
    const { counts, pager } = this.cache;
    this.watch.atEnd();
    for (const key of pager.slotOf.keys()) {
      if (this.slotNow(key) !== pager.slotOf[key])
        this.broken(`the GPU's table differs from the host's for expert ${key}`);
    }
    const seen = `${this.watch.nArrived} loads, ${this.watch.nEvicted} evictions`;
    if (seen !== `${counts.loads} loads, ${counts.evictions} evictions`) this.broken(`the counts are not ${seen}`);
  }

  private heldAreNamed(): void {
    for (const [key, n] of this.held) {
      if (n > 0 && !this.cache.pager.isNamed(key)) this.broken(`expert ${key} is wanted and was taken away`);
    }
  }

  private row(layer: number): void {
    const { slots, pager, size } = this.cache;
    const row = slots.row(layer);
    for (let expert = 0; expert < size.nExperts; expert++) {
      const key = layer * size.nExperts + expert;
      if (row[expert] !== pager.slotOf[key]) this.broken(`the table differs from the pager for expert ${key}`);
    }
  }

  /** The table names a slot only behind its bytes, whether or not something reads it between. */
  private written(buffer: SimulatedBuffer, offset: number): void {
    if (buffer !== this.queue.contents(this.cache.slots.pageTable.buffer)) return;
    const key = offset / 4;
    const slot = this.slotNow(key);
    if (slot !== ABSENT) this.bytes(key, slot, 'now', 'the table names');
  }
}
