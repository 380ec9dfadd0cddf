/** For tests of paging without a GPU: what must be true of cache, table, slots and memory at each moment, and at the end. */
import { ABSENT } from '../kernels/index.ts';
import type { ExpertCache } from './cache.ts';
import type { SimulatedBuffer, SimulatedQueue } from './simulatedQueue.testing.ts';
import type { ExpertSlots } from './slots.ts';
import type { PagerWatch } from './watchPager.testing.ts';

/** A slot's bytes. */
interface Place {
  readonly buffer: SimulatedBuffer;
  readonly first: number;
  readonly end: number;
}

export class SimulatedChecks {
  /** [nLayers] where each slot is that the layer may have; looked up once, for they are asked for at every event. */
  private readonly places: readonly (readonly Place[])[];
  private readonly table: SimulatedBuffer;
  /** [nSlots] scratch: at which look a slot was last found named. */
  private readonly seenAt: Int32Array;
  private nLooks = 0;
  /** Brought and not released: how often. */
  private readonly held = new Map<number, number>();

  constructor(
    private readonly cache: ExpertCache,
    queue: SimulatedQueue,
    private readonly watch: PagerWatch,
    private readonly broken: (what: string) => never,
  ) {
    this.places = cache.counts.layers.map((_, layer) => placesOf(cache.slots, queue, layer));
    this.table = queue.contents(cache.slots.pageTable.buffer);
    this.seenAt = new Int32Array(Math.max(...this.places.map(({ length }) => length)));
    queue.onWritten = (buffer, offset) => this.written(buffer, offset);
  }

  /** The slot that a submission which runs now finds in the table. */
  slotNow(key: number): number {
    return new Uint32Array(this.table.now.buffer, key * 4, 1)[0]!;
  }

  /** `slot` holds all of an expert's bytes; `who` says who found it so. */
  bytes(key: number, slot: number, when: 'now' | 'next', who: string): void {
    const place = this.places[Math.floor(key / this.cache.size.nExperts)]![slot];
    if (!place) throw this.broken(`${who} expert ${key} in slot ${slot}, which is not of its size`);
    const bytes = place.buffer[when];
    for (let i = place.first; i < place.end; i++) {
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
    this.nLooks++;
    let heldBytes = 0;
    for (let key = 0; key < pager.slotOf.length; key++) {
      heldBytes += memory.get(key)?.byteLength ?? 0;
      const slot = pager.slotOf[key]!;
      if (slot === ABSENT) continue;
      if (this.seenAt[slot] === this.nLooks) this.broken(`two experts have slot ${slot}`);
      this.seenAt[slot] = this.nLooks;
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
    if (buffer !== this.table) return;
    const key = offset / 4;
    const slot = this.slotNow(key);
    if (slot !== ABSENT) this.bytes(key, slot, 'now', 'the table names');
  }
}

/** By slot; those of other sizes are left out. */
function placesOf(slots: ExpertSlots, queue: SimulatedQueue, layer: number): Place[] {
  const { pools, slotBytes } = slots.poolsOf(layer);
  const places: Place[] = [];
  for (const { view, firstSlot, nSlots } of pools) {
    const buffer = queue.contents(view.buffer);
    for (let i = 0; i < nSlots; i++) {
      places[firstSlot + i] = { buffer, first: i * slotBytes, end: (i + 1) * slotBytes };
    }
  }
  return places;
}
