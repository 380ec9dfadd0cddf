/** A model whose experts do not fit answers with the very bits it would give if they did. */
import { randomModel } from '@floe/testkit/randomModel';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import type { CachePolicy } from '../experts/index.ts';
import { testDevice } from '../kernels/testGraph.ts';
import { placeModel, planMemory } from '../model/index.ts';
import {
  answer,
  CONTEXT,
  LONG_PROMPT,
  models,
  type Outcome,
  options,
  PROMPT,
  planOf,
  type Setting,
  shape,
  storeOf,
} from './pagedAnswer.testing.ts';

describe.each(models)('$name', ({ bytes }) => {
  const file = bytes();
  let resident: Promise<Outcome> | null = null;

  it.each<Setting & { what: string }>([
    { what: 'half of the slots', gpu: '50%' },
    { what: 'a quarter of the slots, all in memory', gpu: '25%', memoryShare: 1 },
    { what: 'a quarter of the slots, a quarter in memory', gpu: '25%', memoryShare: 0.25 },
    { what: 'a quarter of the slots, half of the experts not downloaded yet', gpu: '25%', halfAway: true },
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
    expect(counts.fromMemory + counts.fromStorage + counts.fromNetwork).toBe(counts.loads);
    expect(counts.fromNetwork > 0).toBe(setting.halfAway === true);
    const ofLayers = (count: 'hits' | 'misses' | 'movedBytes' | 'stallMs') =>
      counts.layers.reduce((sum, layer) => sum + layer[count], 0);
    // Two experts for each token in each layer.
    expect(counts.hits + counts.misses).toBe((PROMPT.length + 12) * counts.layers.length * 2);
    expect(ofLayers('hits')).toBe(counts.hits);
    expect(ofLayers('misses')).toBe(counts.misses);
    expect(ofLayers('movedBytes')).toBe(counts.movedBytes);
    expect(ofLayers('stallMs')).toBeCloseTo(counts.stallMs, 6);
  });

  it('is the same under 200 random evictions', async () => {
    resident ??= answer(file, {});
    const expected = await resident;
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
    const { slotBytes, nSlots } = planMemory(await planOf(file), CONTEXT, '25%').slots[0]!;
    const found = await answer(file, { gpu: '25%', poolBytes: Math.floor(nSlots / 5) * slotBytes }, limits);
    expect(found.nPoolBuffers).toBeGreaterThanOrEqual(5);
    expect(found.logits).toEqual(expected.logits);
    expect(found.counts.evictions).toBeGreaterThan(0);
  });
});

describe('arctic, random', () => {
  const file = models[1]!.bytes();

  it('waits once a token and once a faulted layer', async () => {
    const { counts } = await answer(file, { gpu: '25%', memoryShare: 1, schedule: { runAhead: 1, group: 1 } });
    expect(counts.nTokens).toBe(12);
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

  it('is the same for the other family of kernels', async () => {
    const family = { family: 'cooperative' } as const;
    const expected = await answer(file, {}, family);
    const found = await answer(file, { gpu: '25%' }, family);
    expect(found.logits).toEqual(expected.logits);
  });

  it('begins with the experts of the last visit', async () => {
    const device = await testDevice({});
    const plan = await planOf(file);
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

  it('control: other weights give other bits', async () => {
    const other = randomModel(options({ architecture: 'arctic', nExperts: 16, nExpertsUsed: 2, seed: 33 }));
    expect((await answer(other, {})).logits).not.toEqual((await answer(file, {})).logits);
  });
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
