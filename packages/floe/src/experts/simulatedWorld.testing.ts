/**
 * For tests of paging without a GPU: the real `ExpertCache`, `Pager` and `ExpertSlots` on a simulated queue and storage,
 * in a random small model under random budgets. A seed decides all of it, and what happens next wherever several things may.
 */
import { type Seeded, seeded } from '@floe/testkit/seeded';
import { ExpertCache, type ExpertSize } from './cache.ts';
import type { Pager } from './pager.ts';
import { type CachePolicy, decayedCounts, lfu, lruGlobal, lruPerLayer, type PoolSize } from './policy.ts';
import { SimulatedChecks } from './simulatedChecks.testing.ts';
import { SimulatedGpu } from './simulatedGpu.testing.ts';
import { SimulatedQueue } from './simulatedQueue.testing.ts';
import { SimulatedStorage, simulatedRecord } from './simulatedStorage.testing.ts';
import { ExpertSlots, type SlotClass } from './slots.ts';
import { watchPager } from './watchPager.testing.ts';

/** Broken parts, for controls. */
export interface Doubles {
  readonly Pager?: typeof Pager;
  readonly Slots?: typeof ExpertSlots;
  /** Nobody looks whether a held layer is spared: what comes of it is to be seen. */
  readonly holdsUnwatched?: boolean;
}

/** Bytes of a slot in each of the two classes; layers are of the one and the other in turn. */
const SLOT_BYTES = [8, 12] as const;
/** Events after which a schedule is said to have no end: the longest has a tenth of them. */
const MOST_EVENTS = 5000;
/** As in cache.ts. */
const N_READS = 3;

export class SimulatedWorld {
  readonly random: Seeded;
  readonly size: ExpertSize;
  readonly cache: ExpertCache;
  readonly storage: SimulatedStorage;
  readonly checks: SimulatedChecks;
  /** Called before each event: what the host does at moments of its own. */
  readonly onEvent: (() => void)[] = [];
  private readonly queue = new SimulatedQueue();
  private readonly readbacks: (() => void)[] = [];
  private failure: Error | null = null;

  constructor(
    readonly seed: number,
    readonly doubles: Doubles = {},
  ) {
    const random = seeded(seed);
    this.random = random;
    this.size = { nLayers: random.int(2, 4), nExperts: random.int(3, 6), nExpertsUsed: random.int(1, 2) };
    this.storage = new SimulatedStorage(random.fork('storage'));
    const classes = this.makeClasses();
    const policy = this.makePolicy(classes);
    // Two or three slots in a buffer.
    const slots = new (doubles.Slots ?? ExpertSlots)(this.queue.device, this.size, classes, 2 * SLOT_BYTES[1]);
    const memoryBytes = random.pick([0, random.int(1, 12) * 8, 1000]);
    this.cache = new ExpertCache({
      size: this.size,
      slots,
      records: this.makeRecords(),
      source: this.storage,
      memoryBytes,
      policy,
    });
    if (doubles.Pager) Object.assign(this.cache, { pager: new doubles.Pager(this.size, classes, policy) });
    const broken = (what: string) => this.broken(what);
    const watch = watchPager(this.cache.pager, classes, this.size.nExperts, broken, !doubles.holdsUnwatched);
    this.checks = new SimulatedChecks(this.cache, this.queue, watch, broken);
  }

  /** Lets things happen until `script` has ended and nothing is under way. @throws {Error} an invariant broke; names the seed. */
  async run(script: Promise<void>): Promise<void> {
    let isOver = false;
    script.then(
      () => {
        isOver = true;
      },
      (error: Error) => {
        this.failure ??= error;
      },
    );
    for (let nEvents = 0; ; nEvents++) {
      // What waited for the last event has gone on when this returns.
      await new Promise(setImmediate);
      if (this.failure) throw this.failure;
      this.checks.now();
      if (this.storage.mostLoads > N_READS) this.broken(`${this.storage.mostLoads} reads went on at once`);
      if (nEvents > MOST_EVENTS) this.broken('a schedule does not end');
      if (this.happen()) continue;
      if (isOver) break;
      this.broken('somebody waits for nothing');
    }
    this.checks.end();
  }

  /** What the kernels of one session work on. */
  makeGpu(): SimulatedGpu {
    return new SimulatedGpu(this.checks, (what) => this.broken(what));
  }

  /** Ends the schedule, also where what calls it would catch the error. */
  broken(what: string): never {
    this.failure ??= new Error(`schedule ${this.seed}: ${what}`);
    throw this.failure;
  }

  /** Queues a submission; what it returned is read back at some later moment. */
  submit<T>(run: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.queue.submit(() => {
        const result = run();
        this.readbacks.push(() => resolve(result));
      });
    });
  }

  /** `cache.bring`, and a watch over what it promises. */
  async bring(keys: readonly number[], signal?: AbortSignal): Promise<() => void> {
    const release = await this.cache.bring(keys, signal);
    this.checks.hold(keys);
    return () => {
      this.checks.letGo(keys);
      release();
    };
  }

  /** `n` different experts of a layer, in any order. */
  pickExperts(layer: number, n = this.size.nExpertsUsed): number[] {
    const keys = Array.from({ length: this.size.nExperts }, (_, expert) => this.cache.keyOf(layer, expert));
    return Array.from({ length: n }, () => keys.splice(this.random.int(0, keys.length - 1), 1)[0]!);
  }

  /** Lets one thing happen, in the order its kind keeps: queued work, a read-back, the end of a read. False if nothing can. */
  private happen(): boolean {
    const { random, queue, readbacks } = this;
    for (const hear of this.onEvent) hear();
    // The queue's chance is twice that of a read: else runs ahead would be rare.
    const nQueue = queue.nQueued > 0 ? 2 : 0;
    const nReadbacks = readbacks.length > 0 ? 1 : 0;
    const { loads } = this.storage;
    const nWays = nQueue + nReadbacks + loads.length;
    if (nWays === 0) return false;
    const way = random.int(0, nWays - 1);
    if (way < nQueue) for (let n = random.int(1, 4); n > 0; n--) queue.runNext();
    else if (way < nQueue + nReadbacks) readbacks.shift()!();
    else this.storage.end(way - nQueue - nReadbacks);
    return true;
  }

  private makeClasses(): SlotClass[] {
    const { random, size } = this;
    const all = Array.from({ length: size.nLayers }, (_, layer) => layer);
    return SLOT_BYTES.map((slotBytes, i) => {
      const layers = all.filter((layer) => layer % SLOT_BYTES.length === i);
      // From what one layer's token needs to a slot for each expert.
      return { slotBytes, layers, nSlots: random.int(size.nExpertsUsed, layers.length * size.nExperts) };
    });
  }

  private makeRecords() {
    const { random, size, storage } = this;
    const hasFar = random.uniform() < 0.3;
    return Array.from({ length: size.nLayers }, (_, layer) =>
      Array.from({ length: size.nExperts }, (_, expert) => {
        const record = simulatedRecord(layer * size.nExperts + expert, SLOT_BYTES[layer % SLOT_BYTES.length]!);
        if (hasFar && random.uniform() < 0.5) storage.far.add(record.key);
        return record;
      }),
    );
  }

  private makePolicy(classes: readonly SlotClass[]): CachePolicy {
    const size = { ...this.size, nSlots: classes.reduce((sum, { nSlots }) => sum + nSlots, 0) };
    const random = this.random.fork('victims');
    const anyone = (size: PoolSize): CachePolicy => ({
      ...lruGlobal(size),
      victim: (resident, pinned) => {
        const keys = [...resident].filter((key) => !pinned(key));
        return keys.length > 0 ? random.pick(keys) : null;
      },
    });
    // The default is slow to make, and no more than one policy of many here.
    if (this.random.uniform() < 0.05) return decayedCounts(size);
    return this.random.pick([lruGlobal, lruPerLayer, lfu, anyone, anyone])(size);
  }
}
