/** The cache does what its calls promise where several of them meet: loads shared, failed, aborted, and guessed. */
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { ExpertCache } from './cache.ts';
import { lruGlobal } from './policy.ts';
import { SimulatedQueue } from './simulatedQueue.testing.ts';
import { SimulatedStorage, simulatedRecord } from './simulatedStorage.testing.ts';
import { ExpertSlots } from './slots.ts';

const RECORD_BYTES = 8;
/** Layers 0 and 1 have experts 0 to 5 and 6 to 11. */
const size = { nLayers: 2, nExperts: 6, nExpertsUsed: 2 };

function makeCache({ nSlots = 4, memoryBytes = 0 } = {}) {
  const storage = new SimulatedStorage(seeded(1));
  const slots = new ExpertSlots(new SimulatedQueue().device, size, [
    { slotBytes: RECORD_BYTES, layers: [0, 1], nSlots },
  ]);
  const records = [0, 1].map((layer) =>
    Array.from({ length: size.nExperts }, (_, i) => simulatedRecord(layer * size.nExperts + i, RECORD_BYTES)),
  );
  const policy = lruGlobal({ ...size, nSlots });
  return { storage, cache: new ExpertCache({ size, slots, records, source: storage, memoryBytes, policy }) };
}

/** Whatever waited for what has happened has gone on when this returns. */
const settled = () => new Promise(setImmediate);
/** A promise that may fail before the test looks at it. */
function heard<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** Experts that are being read, in the order in which the reads began. */
const reading = ({ loads }: SimulatedStorage) => loads.map(({ plan }) => Number(plan.key));

async function endAll(storage: SimulatedStorage): Promise<void> {
  for (await settled(); storage.loads.length > 0; await settled()) storage.end(0);
}

async function bring(cache: ExpertCache, storage: SimulatedStorage, ...keys: number[]): Promise<() => void> {
  const release = cache.bring(keys);
  await endAll(storage);
  return release;
}

describe('bring', () => {
  it('reads an expert once for two that want it, and keeps it until both have let it go', async () => {
    const { cache, storage } = makeCache({ nSlots: 2 });
    const both = [cache.bring([0, 1]), cache.bring([1, 0])];
    await settled();
    expect(reading(storage)).toEqual([0, 1]);
    await endAll(storage);
    const [first, second] = await Promise.all(both);
    first!();
    const third = cache.bring([2]);
    await settled();
    expect(reading(storage)).toEqual([]);
    second!();
    await endAll(storage);
    (await third)();
    expect(cache.pager.isNamed(2)).toBe(true);
  });

  it('says so where more are wanted at once than there are slots', async () => {
    const { cache, storage } = makeCache({ nSlots: 2 });
    const wanted = heard(cache.bring([0, 1, 2]));
    await endAll(storage);
    await expect(wanted).rejects.toThrow('no slot for expert 2');
    (await bring(cache, storage, 2))();
  });

  it('waits for a layer that is held, if all slots are its own', async () => {
    const { cache, storage } = makeCache({ nSlots: 2 });
    (await bring(cache, storage, 0, 1))();
    cache.hold(0);
    const wanted = cache.bring([6]);
    await settled();
    expect(reading(storage)).toEqual([]);
    cache.letGo(0);
    await endAll(storage);
    (await wanted)();
    expect(cache.pager.isNamed(6)).toBe(true);
  });

  it('gives slots to one after the other, so that no two wait for each other’s', async () => {
    const { cache, storage } = makeCache({ nSlots: 2 });
    const pinned = await bring(cache, storage, 0, 1);
    const both = [cache.bring([2, 3]), cache.bring([4, 5])];
    await settled();
    pinned();
    await endAll(storage);
    expect([2, 3].map((key) => cache.pager.isNamed(key))).toEqual([true, true]);
    (await both[0]!)();
    await endAll(storage);
    (await both[1]!)();
    expect([4, 5].map((key) => cache.pager.isNamed(key))).toEqual([true, true]);
  });

  it('waits for a slot that is being filled, if all are', async () => {
    const { cache, storage } = makeCache({ nSlots: 2 });
    const filled = cache.fill();
    const wanted = cache.bring([2]);
    await settled();
    expect(reading(storage)).toEqual([0, 6]);
    await endAll(storage);
    await filled;
    (await wanted)();
    expect([2, 6].map((key) => cache.pager.isNamed(key))).toEqual([true, true]);
  });

  it('says why an expert did not come, keeps those that did, and gets it the next time', async () => {
    const { cache, storage } = makeCache();
    const failed = cache.bring([0, 1]);
    await settled();
    storage.failing = 1;
    storage.end(0);
    storage.failing = 0;
    // Not told before the other has ended too: it would fill a slot behind the caller's back.
    const isTold = await Promise.race([failed.catch(() => true), settled().then(() => false)]);
    await endAll(storage);
    await expect(failed).rejects.toThrow('record 0');
    expect([isTold, cache.pager.isNamed(0), cache.pager.isNamed(1), cache.pager.nFree(0)]).toEqual([
      false,
      false,
      true,
      3,
    ]);
    (await bring(cache, storage, 0, 1))();
    expect(cache.pager.isNamed(0)).toBe(true);
  });

  it('goes on for one that wants an expert when another, for whom it was being read, has aborted', async () => {
    const { cache, storage } = makeCache();
    const controller = new AbortController();
    const aborted = heard(cache.bring([0], controller.signal));
    const wanted = cache.bring([0]);
    await settled();
    controller.abort();
    await endAll(storage);
    await expect(aborted).rejects.toMatchObject({ code: 'request/aborted' });
    (await wanted)();
    expect(cache.pager.isNamed(0)).toBe(true);
  });

  it('control: is told of its own abort', async () => {
    const { cache, storage } = makeCache();
    const controller = new AbortController();
    const wanted = cache.bring([0]);
    const aborted = heard(cache.bring([0], controller.signal));
    controller.abort();
    await endAll(storage);
    await expect(aborted).rejects.toMatchObject({ code: 'request/aborted' });
    (await wanted)();
  });

  it.each([
    { what: 'another reads it', wanted: [0], nSlots: 4 },
    { what: 'all slots are being filled for others', wanted: [3], nSlots: 3 },
    { what: 'as many are read as may be', wanted: [3], nSlots: 4 },
  ])('is told of its own abort at once, while $what', async ({ wanted, nSlots }) => {
    const { cache, storage } = makeCache({ nSlots });
    const others = [0, 1, 2].map((key) => cache.bring([key]));
    await settled();
    const controller = new AbortController();
    const aborted = heard(cache.bring(wanted, controller.signal));
    await settled();
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'request/aborted' });
    expect(reading(storage)).toEqual([0, 1, 2]);
    // What it leaves is as if it had never asked.
    await endAll(storage);
    for (const release of await Promise.all(others)) release();
    (await bring(cache, storage, 3, 4, 5))();
    expect([3, 4, 5].every((key) => cache.pager.isNamed(key))).toBe(true);
    expect(cache.counts.loads).toBe(6);
  });

  it('is told of its own abort at once, while another is given its slots before', async () => {
    const { cache, storage } = makeCache({ nSlots: 2 });
    const pinned = await bring(cache, storage, 0, 1);
    const before = cache.bring([2, 3]);
    const controller = new AbortController();
    const aborted = heard(cache.bring([4], controller.signal));
    const behind = cache.bring([5]);
    await settled();
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'request/aborted' });
    pinned();
    await endAll(storage);
    (await before)();
    await endAll(storage);
    (await behind)();
    expect([cache.pager.isNamed(4), cache.pager.isNamed(5)]).toEqual([false, true]);
  });

  it('reads three records at a time, also when a new one comes at the moment a read ends', async () => {
    const { cache, storage } = makeCache({ nSlots: 8 });
    const first = cache.bring([0, 1, 2, 3]);
    await settled();
    expect(reading(storage)).toEqual([0, 1, 2]);
    storage.end(0);
    // After as many turns as it may take, one of which lies between the end of the read and the start of the one that waits.
    const others = [6, 7, 8, 9].map(async (key, nTurns) => {
      for (let i = 0; i < nTurns; i++) await null;
      return cache.bring([key]);
    });
    await settled();
    expect(reading(storage)).toEqual([1, 2, 3]);
    await endAll(storage);
    (await first)();
    for (const release of await Promise.all(others)) release();
    expect(storage.mostLoads).toBe(3);
  });

  it('takes from memory what is there, and counts where each came from', async () => {
    const { cache, storage } = makeCache({ nSlots: 2, memoryBytes: 100 });
    storage.far.add('1');
    expect([0, 1].map((key) => cache.residence(key))).toEqual(['stored', 'absent']);
    (await bring(cache, storage, 0, 1))();
    (await bring(cache, storage, 2, 3))();
    expect([0, 2].map((key) => cache.residence(key))).toEqual(['cached', 'resident']);
    const again = cache.bring([0, 1]);
    await settled();
    expect(reading(storage)).toEqual([]);
    (await again)();
    expect(cache.counts).toMatchObject({ loads: 6, evictions: 4, fromMemory: 2, fromStorage: 3, fromNetwork: 1 });
    expect(cache.counts.movedBytes).toBe(6 * RECORD_BYTES);
  });
});

describe('fill', () => {
  it('fills the slots there are, the first experts of each layer first, and evicts none', async () => {
    const { cache, storage } = makeCache();
    const filled = cache.fill();
    await endAll(storage);
    await filled;
    expect([...cache.pager.named()].sort((a, b) => a - b)).toEqual([0, 1, 6, 7]);
    expect(cache.counts.evictions).toBe(0);
  });

  it('passes over what is not near', async () => {
    const { cache, storage } = makeCache();
    for (const key of ['0', '6']) storage.far.add(key);
    const filled = cache.fill();
    await endAll(storage);
    await filled;
    expect([...cache.pager.named()].sort((a, b) => a - b)).toEqual([1, 2, 7, 8]);
  });

  // A rejection that nobody hears ends a process: the test runner reports it as an error of its own.
  it('fails by the first failure when all it began has ended, whichever read fails first', async () => {
    const { cache, storage } = makeCache();
    const filled = cache.fill();
    await settled();
    expect(storage.loads.length).toBe(3);
    storage.failing = 1;
    storage.end(2);
    await settled();
    storage.end(0);
    const isTold = await Promise.race([filled.catch(() => true), settled().then(() => false)]);
    storage.end(0);
    await expect(filled).rejects.toThrow('record 0');
    expect(isTold).toBe(false);
    expect([storage.loads.length, cache.pager.nFree(0)]).toEqual([0, 4]);
  });
});

it('fillMemory reads until the next would not fit, and nothing that has a slot', async () => {
  const { cache, storage } = makeCache({ nSlots: 2, memoryBytes: 3 * RECORD_BYTES + 1 });
  (await bring(cache, storage, 0, 6))();
  cache.memory.clear();
  const filled = cache.fillMemory(new AbortController().signal);
  await endAll(storage);
  await filled;
  expect(Array.from({ length: 12 }, (_, key) => key).filter((key) => cache.memory.has(key))).toEqual([1, 2, 7]);
});

it('fillMemory goes on where it was interrupted by one who waits for a record', async () => {
  const { cache, storage } = makeCache({ nSlots: 2, memoryBytes: 6 * RECORD_BYTES });
  const filling = cache.fillMemory(new AbortController().signal);
  await settled();
  const brought = cache.bring([11]);
  await endAll(storage);
  (await brought)();
  await filling;
  expect(cache.memory.usedBytes).toBe(6 * RECORD_BYTES);
});

it('fillUp gives free slots and memory what has come near since, once more where it is called meanwhile', async () => {
  const { cache, storage } = makeCache({ nSlots: 3, memoryBytes: 4 * RECORD_BYTES });
  for (let key = 0; key < 12; key++) storage.far.add(String(key));
  await cache.fillUp();
  expect([[...cache.pager.named()], cache.memory.usedBytes]).toEqual([[], 0]);
  for (const key of [4, 5]) storage.far.delete(String(key));
  const filling = cache.fillUp();
  for (const key of [1, 7, 8, 9]) storage.far.delete(String(key));
  expect(cache.fillUp()).toBe(filling);
  await endAll(storage);
  await filling;
  expect([...cache.pager.named()]).toHaveLength(3);
  expect(cache.memory.usedBytes).toBe(4 * RECORD_BYTES);
});

it('of the records to come, what is no expert is the likeliest, then what was used last, then the first', async () => {
  const { cache } = makeCache();
  const records = Array.from({ length: 12 }, (_, key) => simulatedRecord(key, RECORD_BYTES));
  // The cache knows its own records, not others of the same name.
  expect(cache.likeliest([])).toBeUndefined();
  expect(cache.likeliest(records)).toBe(records[0]);
  const own = Array.from({ length: 12 }, (_, key) => cache.recordOf(key));
  expect(cache.likeliest(own)).toBe(own[0]);
  cache.routed(1, 9, false);
  expect(cache.likeliest(own)).toBe(own[9]);
  expect(cache.likeliest([...own, records[3]!])).toBe(records[3]);
});

it('a record that is read ahead when it comes to be wanted is read once', async () => {
  const { cache, storage } = makeCache({ memoryBytes: 4 * RECORD_BYTES });
  cache.guess(3);
  const brought = cache.bring([3]);
  await settled();
  expect(reading(storage)).toEqual([3]);
  await endAll(storage);
  (await brought)();
  expect([cache.counts.loads, cache.counts.fromStorage, cache.counts.fromMemory]).toEqual([1, 1, 0]);
});

describe('a guess', () => {
  async function full() {
    const made = makeCache({ nSlots: 2, memoryBytes: 100 });
    const { cache, storage } = made;
    (await bring(cache, storage, 1, 2))();
    (await bring(cache, storage, 0, 6))();
    for (const key of [0, 6]) cache.routed(Math.floor(key / 6), key, true);
    cache.token = 3;
    return made;
  }

  it('brings an expert from memory to a slot at once', async () => {
    const { cache } = await full();
    expect(cache.guess(1)).toBe(true);
    expect([cache.pager.isNamed(1), cache.pager.isNamed(0), cache.counts.guesses]).toEqual([true, false, 1]);
  });
  it('spares a layer whose routing has run', async () => {
    const { cache } = await full();
    cache.hold(0);
    expect(cache.guess(1)).toBe(true);
    expect([cache.pager.isNamed(0), cache.pager.isNamed(6)]).toEqual([true, false]);
  });
  it('spares what the last two tokens used', async () => {
    const { cache } = await full();
    cache.token = 2;
    expect(cache.guess(1)).toBe(false);
  });
  it('brings an expert from storage as far as memory, and only while nothing is read', async () => {
    const { cache, storage } = await full();
    expect([cache.guess(3), cache.guess(4)]).toEqual([false, false]);
    await settled();
    expect(reading(storage)).toEqual([3]);
    await endAll(storage);
    expect([3, 4].map((key) => cache.residence(key))).toEqual(['cached', 'stored']);
  });
  it('that is being read when all ends leaves nothing behind', async () => {
    const { cache, storage } = await full();
    cache.guess(3);
    await settled();
    let isOver = false;
    const over = cache.destroy().then(() => {
      isOver = true;
    });
    await settled();
    expect(isOver).toBe(false);
    await endAll(storage);
    await over;
    expect([cache.memory.usedBytes, cache.guess(4), storage.loads.length]).toEqual([0, false, 0]);
  });
  it('is useful if it is routed to, and useless if it goes before', async () => {
    const { cache, storage } = await full();
    cache.guess(1);
    cache.routed(0, 1, true);
    cache.token = 9;
    cache.guess(2);
    (await bring(cache, storage, 7, 8))();
    expect(cache.counts).toMatchObject({ guesses: 2, usefulGuesses: 1, uselessGuesses: 1 });
  });
});
