/** A model whose experts do not fit answers with the very bits it would give if they did. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { testGpu } from '@floe/testkit/nodeGpu';
import { type RandomModelOptions, randomModel } from '@floe/testkit/randomModel';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { ExpertsError, orAborted } from '../errors/index.ts';
import type { CachePolicy, ExpertCounts } from '../experts/index.ts';
import { readGguf } from '../gguf/index.ts';
import { type Device, type DeviceOptions, openDevice, readBuffer } from '../gpu/index.ts';
import { systemClock } from '../host/index.ts';
import { type GpuBudget, placeModel, planMemory, planModel } from '../model/index.ts';
import { packRecord, type RecordPlan } from '../store/index.ts';
import { measureLoss, Runner } from './index.ts';
import type { Schedule } from './schedule.ts';

const root = resolve(import.meta.dirname, '../../../..');
const GREEDY = { kind: 'greedy' } as const;
const CONTEXT = 192;

interface Setting {
  readonly gpu?: GpuBudget | 'all';
  /** Of all experts, what memory may hold. */
  readonly memoryShare?: number;
  readonly schedule?: Partial<Schedule>;
  readonly policy?: CachePolicy;
  readonly prefetch?: boolean;
  readonly dropBelow?: number;
  readonly poolBytes?: number;
  readonly prompt?: readonly number[];
  readonly nDecoded?: number;
}

interface Outcome {
  readonly ids: number[];
  /** Behind the prompt, and after each decoded token. */
  readonly logits: Uint32Array[];
  readonly counts: ExpertCounts;
  readonly mapped: number;
}

/** A device for each kind, kept for the file: pipelines are compiled once. */
const devices = new Map<string, Promise<Device>>();
function deviceOf(options: DeviceOptions): Promise<Device> {
  const key = JSON.stringify(options);
  const device = devices.get(key) ?? openDevice(testGpu(), options);
  devices.set(key, device);
  return device;
}

async function answer(bytes: Uint8Array, setting: Setting, options: DeviceOptions = {}): Promise<Outcome> {
  const device = await deviceOf(options);
  const plan = planModel(
    await readGguf({ sizeBytes: bytes.length, read: async (at, n) => bytes.subarray(at, at + n) }),
  );
  const memory = planMemory(plan, CONTEXT, setting.gpu ?? 'all');
  const placed = await placeModel(device, plan, storeOf(bytes), {
    slots: memory.slots,
    memoryBytes: memory.expertBytes * (setting.memoryShare ?? 0),
    policy: setting.policy,
    poolBytes: setting.poolBytes,
  });
  await placed.experts!.fillMemory(new AbortController().signal);
  const runner = new Runner(device, placed, CONTEXT, systemClock, setting.schedule, setting.prefetch ?? false);
  runner.decoder.dropBelow = setting.dropBelow ?? 0;
  const { prompt = PROMPT, nDecoded = 12 } = setting;
  const logits = async () => new Uint32Array(await readBuffer(device, runner.s.logits.buffer, 0, plan.nVocab * 4));
  const mappedBefore = device.counts.mapAsync;
  const outcome: Outcome = { ids: [], logits: [], counts: placed.experts!.counts, mapped: 0 };
  let nOwn = 0;
  let pending = await runner.prefill(prompt, GREEDY, 0, () => {});
  for (let i = 0; i <= nDecoded; i++) {
    outcome.ids.push(await pending.wait());
    outcome.logits.push(await logits());
    // Those of the test itself are none of the step's.
    nOwn++;
    if (i < nDecoded) pending = await runner.decode(GREEDY, 0);
  }
  device.throwIfFailed();
  const mapped = device.counts.mapAsync - mappedBefore - nOwn;
  await runner.destroy();
  return { ...outcome, mapped };
}

/** A conversation with the fewest slots, and a store that can fail. */
async function conversation(bytes: Uint8Array) {
  const device = await deviceOf({});
  const plan = planModel(
    await readGguf({ sizeBytes: bytes.length, read: async (at, n) => bytes.subarray(at, at + n) }),
  );
  const store = { fails: false, hangs: false, nFailed: 0 };
  const read = async (record: RecordPlan, signal?: AbortSignal) => {
    if (store.hangs) await orAborted(new Promise(() => {}), signal);
    if (!store.fails) return packRecord(record, async (at, n) => bytes.subarray(at, at + n));
    store.nFailed++;
    throw new ExpertsError('experts/absent', `${record.key} can't be fetched`, { remedy: 'none', retryable: true });
  };
  const placed = await placeModel(device, plan, { read }, { slots: planMemory(plan, CONTEXT, 'min').slots });
  return { runner: new Runner(device, placed, CONTEXT, systemClock), store };
}

/** As a store reads: a moment later. */
function storeOf(bytes: Uint8Array) {
  const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  return {
    read: async (record: RecordPlan) => {
      await new Promise((resolve) => setTimeout(resolve, 0));
      return packRecord(record, read);
    },
  };
}

const random = seeded('paging');
const PROMPT = Array.from({ length: 21 }, () => random.int(0, 299));
/** Longer than a chunk, so that a span has several. */
const LONG_PROMPT = Array.from({ length: 150 }, () => random.int(0, 299));

const shape = { nLayers: 3, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, expertDim: 96 };
const models: { name: string; bytes: () => Uint8Array }[] = [
  {
    name: 'arctic-mini',
    bytes: () => readFileSync(resolve(root, 'demo/public/models/arctic-mini-sql-q4_0.gguf')),
  },
  {
    name: 'arctic, random',
    bytes: () => randomModel(options({ architecture: 'arctic', nExperts: 16, nExpertsUsed: 2, seed: 31 })),
  },
  {
    name: 'mixtral, random',
    bytes: () => randomModel(options({ architecture: 'llama', nExperts: 8, nExpertsUsed: 2, seed: 32 })),
  },
];

function options(own: Partial<RandomModelOptions>): RandomModelOptions {
  return { ...shape, type: 'Q8_0', ...own } as RandomModelOptions;
}

describe.each(models)('$name', ({ bytes }) => {
  const file = bytes();
  let resident: Promise<Outcome> | null = null;

  it.each<Setting & { what: string }>([
    { what: 'half of the slots', gpu: '50%' },
    { what: 'a quarter of the slots, all in memory', gpu: '25%', memoryShare: 1 },
    { what: 'a quarter of the slots, a quarter in memory', gpu: '25%', memoryShare: 0.25 },
    { what: 'the fewest slots', gpu: 'min' },
    { what: 'the fewest slots, all in memory', gpu: 'min', memoryShare: 1 },
    { what: 'a quarter, routes first', gpu: '25%', schedule: { runAhead: 0 } },
    { what: 'a quarter, one layer ahead', gpu: '25%', schedule: { runAhead: 1, group: 1 } },
    { what: 'a quarter, two ahead in pairs', gpu: '25%', schedule: { runAhead: 2, group: 2 } },
    { what: 'a quarter, one submission a token', gpu: '25%', schedule: { runAhead: 99, group: 99 } },
    { what: 'a quarter, with guesses', gpu: '25%', memoryShare: 1, prefetch: true, schedule: { runAhead: 0 } },
    {
      what: 'half, with guesses two layers ahead',
      gpu: '50%',
      memoryShare: 1,
      prefetch: true,
      schedule: { runAhead: 1 },
    },
    { what: 'a quarter, layer by layer', gpu: '25%', schedule: { runAhead: 0, group: 1, overlap: false } },
  ])('gives the bits of all resident with $what', async ({ what: _, ...setting }) => {
    resident ??= answer(file, {});
    const [expected, found] = [await resident, await answer(file, setting)];
    expect(found.ids).toEqual(expected.ids);
    expect(found.logits).toEqual(expected.logits);
    const { counts } = found;
    expect(counts.misses).toBeGreaterThan(0);
    expect(counts.evictions).toBeGreaterThan(0);
    expect(counts.fromMemory + counts.fromStorage).toBe(counts.loads);
    expect(counts.layers.reduce((sum, { hits, misses }) => sum + hits + misses, 0)).toBe(counts.hits + counts.misses);
  });
});

describe('arctic, random', () => {
  const file = models[1]!.bytes();

  it('counts every route as a hit or a miss, and waits once a token and once a faulted layer', async () => {
    const { counts } = await answer(file, { gpu: '25%', memoryShare: 1, schedule: { runAhead: 1, group: 1 } });
    const { nLayers } = shape;
    expect(counts.nTokens).toBe(12);
    expect(counts.hits + counts.misses).toBe((PROMPT.length + 12) * nLayers * 2);
    expect(counts.faultedLayers).toBeGreaterThan(0);
    expect(counts.blockingWaits).toBeLessThanOrEqual(counts.nTokens + counts.faultedLayers);
  });

  it('waits once a token where nothing is missing', async () => {
    const { counts, mapped } = await answer(file, {});
    expect(counts.misses).toBe(0);
    expect(counts.blockingWaits).toBe(counts.nTokens);
    // As many read-backs as ids.
    expect(mapped).toBe(counts.nTokens + 1);
  });

  it('is the same in prompts of several chunks, whose experts come once a layer', async () => {
    const setting = { prompt: LONG_PROMPT, nDecoded: 2 };
    const expected = await answer(file, setting);
    const found = await answer(file, { ...setting, gpu: 'min' });
    expect(found.ids).toEqual(expected.ids);
    expect(found.logits).toEqual(expected.logits);
    // Each expert once for the prompt, and what two tokens miss: not once for each chunk.
    expect(found.counts.loads).toBeLessThanOrEqual(shape.nLayers * (16 + 2 * 2) + 3);
  });

  it('is the same under 200 random evictions', async () => {
    const expected = await answer(file, {});
    let nEvictions = 0;
    for (let seed = 0; nEvictions < 200; seed++) {
      const found = await answer(file, { gpu: '25%', memoryShare: 1, policy: randomPolicy(seed) });
      expect(found.logits, `seed ${seed}`).toEqual(expected.logits);
      nEvictions += found.counts.evictions;
    }
  });

  it("is the same on a device of WebGPU's default limits, with a pool in five buffers or more", async () => {
    const limits = { limits: 'default' } as const;
    const expected = await answer(file, {}, limits);
    const slotBytes = planMemory(
      planModel(await readGguf({ sizeBytes: file.length, read: async (at, n) => file.subarray(at, at + n) })),
      CONTEXT,
      'min',
    ).slots[0]!.slotBytes;
    const found = await answer(file, { gpu: '25%', poolBytes: 2 * slotBytes }, limits);
    expect(found.logits).toEqual(expected.logits);
    expect(found.counts.evictions).toBeGreaterThan(0);
  });

  it('is the same for the other family of kernels', async () => {
    const family = { family: 'cooperative' } as const;
    const expected = await answer(file, {}, family);
    const found = await answer(file, { gpu: '25%' }, family);
    expect(found.logits).toEqual(expected.logits);
  });

  it('begins with the experts of the last visit', async () => {
    const device = await deviceOf({});
    const plan = planModel(
      await readGguf({ sizeBytes: file.length, read: async (at, n) => file.subarray(at, at + n) }),
    );
    const { slots } = planMemory(plan, CONTEXT, '25%');
    const first = await placeModel(device, plan, storeOf(file), { slots });
    const favourites = [7, 16 + 9, 32 + 15];
    for (const key of favourites) first.experts!.routed(Math.floor(key / 16), key, false);
    const lastVisit = first.experts!.snapshot()!;
    const second = await placeModel(device, plan, { ...storeOf(file), lastVisit }, { slots });
    expect(favourites.filter((key) => second.experts!.pager.isNamed(key))).toEqual(favourites);
    const fresh = await placeModel(device, plan, storeOf(file), { slots });
    expect(favourites.some((key) => fresh.experts!.pager.isNamed(key))).toBe(false);
    // Of another model, or damaged: it begins as if there had been none.
    const other = await placeModel(device, plan, { ...storeOf(file), lastVisit: Float32Array.of(1) }, { slots });
    expect([...other.experts!.pager.named()]).toEqual([...fresh.experts!.pager.named()]);
  });

  describe('with missing experts left out', () => {
    const setting = { gpu: 'min', schedule: { runAhead: 0 } } as const;

    it('is exact at 0, and where none is missing', async () => {
      const expected = await answer(file, {});
      const exact = await answer(file, { ...setting, dropBelow: 0 });
      expect(exact.logits).toEqual(expected.logits);
      expect([exact.counts.dropped, exact.counts.droppedMass]).toEqual([0, 0]);
      const resident = await answer(file, { dropBelow: 1 });
      expect(resident.logits).toEqual(expected.logits);
      expect(resident.counts.dropped).toBe(0);
    });

    it('waits at 1 for none but the likeliest', async () => {
      const exact = await answer(file, setting);
      const { counts, logits } = await answer(file, { ...setting, dropBelow: 1 });
      expect(logits).not.toEqual(exact.logits);
      expect(counts.dropped).toBeGreaterThan(0);
      // Of two experts the second has at most half of the weight.
      expect(counts.droppedMass / counts.dropped).toBeGreaterThan(0);
      expect(counts.droppedMass / counts.dropped).toBeLessThanOrEqual(0.5);
      const prompt = (await answer(file, { ...setting, nDecoded: 0 })).counts;
      const decoded = (key: 'loads' | 'misses') => counts[key] - prompt[key];
      // A missing expert is loaded or left out, and none is left out that was loaded.
      expect(decoded('loads') + counts.dropped).toBe(decoded('misses'));
      expect(decoded('loads')).toBeLessThanOrEqual(12 * shape.nLayers);
    });

    it('leaves out more the higher the bound is', async () => {
      const dropped = [];
      for (const dropBelow of [0.1, 0.3, 0.5])
        dropped.push((await answer(file, { ...setting, dropBelow })).counts.dropped);
      expect(dropped).toEqual([...dropped].sort((a, b) => a - b));
      expect(new Set(dropped).size).toBeGreaterThan(1);
    });

    it('brings what was left out for later, where that is a copy from memory in the place of what is cold', async () => {
      const own = { gpu: '50%', memoryShare: 1, schedule: { runAhead: 0 }, dropBelow: 1 } as const;
      const { counts } = await answer(file, own);
      const prompt = (await answer(file, { ...own, nDecoded: 0 })).counts;
      const decoded = (key: 'loads' | 'misses') => counts[key] - prompt[key];
      expect(counts.guesses).toBeGreaterThan(0);
      expect(counts.guesses).toBeLessThanOrEqual(counts.dropped);
      expect(decoded('loads')).toBe(decoded('misses') - counts.dropped + counts.guesses);
    });

    it('costs some divergence over a text, and none at 0', async () => {
      const { runner } = await conversation(file);
      const ids = PROMPT;
      runner.decoder.dropBelow = 1;
      const cost = await measureLoss(runner, ids);
      expect(cost).toMatchObject({ nTokens: ids.length - 1, nRouted: (ids.length - 1) * shape.nLayers * 2 });
      expect(cost.dropped).toBeGreaterThan(0);
      expect(cost.meanKl).toBeGreaterThan(1e-4);
      expect(cost.droppedMass).toBeGreaterThan(0);
      expect(runner.decoder.dropBelow).toBe(1);
      runner.decoder.dropBelow = 0;
      expect(await measureLoss(runner, ids)).toMatchObject({ dropped: 0, droppedMass: 0, meanKl: 0 });
    });
  });

  it('control: other weights give other bits', async () => {
    const other = randomModel(options({ architecture: 'arctic', nExperts: 16, nExpertsUsed: 2, seed: 33 }));
    expect((await answer(other, {})).logits).not.toEqual((await answer(file, {})).logits);
  });
});

describe('where an expert does not come', () => {
  const file = models[1]!.bytes();

  it('says so, keeps the conversation, and goes on when it comes again', async () => {
    const { runner, store } = await conversation(file);
    const expected = await decodeIds(runner, 8);
    runner.rewind(0);
    store.fails = true;
    await expect(decodeIds(runner, 8)).rejects.toMatchObject({ code: 'experts/absent', retryable: true });
    store.fails = false;
    runner.rewind(0);
    expect(await decodeIds(runner, 8)).toEqual(expected);
  });

  it('goes on in the middle of an answer, at the token that failed', async () => {
    const { runner, store } = await conversation(file);
    const expected = await decodeIds(runner, 8);
    runner.rewind(0);
    const ids = [await (await runner.prefill(PROMPT, GREEDY, 0, () => {})).wait()];
    store.fails = true;
    while (ids.length < 8) {
      const position = runner.length;
      try {
        ids.push(await (await runner.decode(GREEDY, 0)).wait());
      } catch (error) {
        expect(error).toMatchObject({ code: 'experts/absent' });
        store.fails = false;
        runner.rewind(position);
      }
    }
    expect(store.nFailed).toBeGreaterThan(0);
    expect(ids).toEqual(expected);
  });

  it('can be aborted while it waits, and works afterwards', async () => {
    const { runner, store } = await conversation(file);
    const expected = await decodeIds(runner, 8);
    runner.rewind(0);
    store.hangs = true;
    const controller = new AbortController();
    const answering = decodeIds(runner, 8, controller.signal);
    setTimeout(() => controller.abort(), 20);
    await expect(answering).rejects.toMatchObject({ code: 'request/aborted' });
    store.hangs = false;
    runner.rewind(0);
    expect(await decodeIds(runner, 8)).toEqual(expected);
  });

  async function decodeIds(runner: Runner, n: number, signal?: AbortSignal): Promise<number[]> {
    const ids = [await (await runner.prefill(PROMPT, GREEDY, 0, () => {}, signal)).wait()];
    while (ids.length < n) ids.push(await (await runner.decode(GREEDY, 0, signal)).wait());
    return ids;
  }
});

it('arctic-mini loads experts before they are wanted, and counts what that was worth', async () => {
  const file = models[0]!.bytes();
  const setting = { gpu: '25%', memoryShare: 1, schedule: { runAhead: 0 }, nDecoded: 60 } as const;
  const { counts } = await answer(file, { ...setting, prefetch: true });
  expect(counts.guesses).toBeGreaterThan(0);
  expect(counts.usefulGuesses).toBeGreaterThan(0);
  expect(counts.usefulGuesses + counts.uselessGuesses).toBeLessThanOrEqual(counts.guesses);
  expect(counts.foreseenMisses).toBeLessThanOrEqual(counts.foreseeableMisses);
  const { counts: without } = await answer(file, setting);
  expect(without.guesses).toBe(0);
  expect(counts.misses).toBeLessThan(without.misses);
});

/** Evicts whomever. */
function randomPolicy(seed: number): CachePolicy {
  const draw = seeded(`evictions ${seed}`);
  return {
    name: 'random',
    use: () => {},
    score: () => 0,
    victim: (resident, pinned) => {
      const free = [...resident].filter((key) => !pinned(key));
      return free[draw.int(0, free.length - 1)] ?? null;
    },
  };
}
