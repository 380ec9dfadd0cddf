/** The simulator counts what a pool would do: by hand, by another implementation, and against the best there can be. */
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { generateTrace, TRACE_RECIPES } from './generateTrace.ts';
import { decayedCounts, lfu, lruGlobal, lruPerLayer } from './policy.ts';
import { simulate } from './simulate.ts';
import { belady } from './simulateBelady.ts';
import { emptyTrace, NOT_ROUTED, type Trace } from './trace.ts';

/** One route a layer: ids [nTokens][nLayers]. */
function traceOf(ids: readonly (readonly number[])[], nExperts = 4): Trace {
  const nLayers = ids[0]!.length;
  const slotBytes = Array.from({ length: nLayers }, (_, layer) => 10 * (layer + 1));
  const trace = emptyTrace({ model: 'by hand', nLayers, nExperts, nExpertsUsed: 1, slotBytes }, ids.length);
  trace.ids.set(ids.flat());
  return trace;
}

describe('simulate', () => {
  // Keys: layer 0's 0 to 3, layer 1's 4 to 7. Three slots.
  const trace = traceOf([
    [0, 0], // 0 and 4 come in
    [1, 0], // 1 comes in; 4 is there
    [0, 1], // 0 is there; 5 for 1, least recently used
    [0, 1], // both there
  ]);

  it('counts hits, misses, bytes and faults', () => {
    expect(simulate(trace, lruGlobal, { nSlots: 3 })).toMatchObject({
      policy: 'lru-global',
      nTokens: 4,
      nHits: 4,
      nMisses: 4,
      hitRate: 0.5,
      bytesPerToken: (10 + 20 + 10 + 20) / 4,
      faultedLayersPerToken: 1,
      nTokensWithoutFault: 1,
      stallMsPerToken: [],
    });
  });
  it('does not count the warm-up', () => {
    expect(simulate(trace, lruGlobal, { nSlots: 3, nWarmUpTokens: 2 })).toMatchObject({
      nTokens: 2,
      nHits: 3,
      nMisses: 1,
      bytesPerToken: 10,
      nTokensWithoutFault: 1,
    });
  });
  it('begins with what is resident', () => {
    expect(simulate(trace, lruGlobal, { nSlots: 3, resident: [0, 4, 0, 1, 7] })).toMatchObject({
      nHits: 7,
      nMisses: 1,
    });
  });
  it('passes over a layer that was not routed', () => {
    expect(
      simulate(
        traceOf([
          [0, NOT_ROUTED],
          [0, 1],
        ]),
        lruGlobal,
        { nSlots: 2 },
      ),
    ).toMatchObject({ nHits: 1, nMisses: 2 });
  });
  it('gives the stall of each token by its misses', () => {
    const costs = {
      denseMs: 3,
      expertsMs: 2,
      routerMs: 1,
      skippedMs: 0,
      readBackMs: 0,
      submitMs: 0,
      uploadMs: 5,
      uploadQueueMs: 1,
      routesFromInput: false,
    };
    // Nothing but the four misses, 6 ms each, in four tokens.
    const { stallMsPerToken } = simulate(trace, lruGlobal, { nSlots: 3, times: [{ costs, schedule: 'sync' }] });
    expect(stallMsPerToken).toEqual([6]);
  });
  it('never lets go what the layer at hand wants: the minimum of slots will do', () => {
    const olmoe = generateTrace(TRACE_RECIPES.olmoe, { nTokens: 20, seed: 1 });
    for (const policy of [decayedCounts, lruGlobal, lruPerLayer, lfu, belady(olmoe)]) {
      const { nHits, nMisses } = simulate(olmoe, policy, { nSlots: 9 });
      expect(nHits + nMisses).toBe(20 * 16 * 8);
    }
    expect(() => simulate(olmoe, lruGlobal, { nSlots: 8 })).toThrowError(
      expect.objectContaining({ code: 'experts/budget-too-small', details: { nSlots: 8, nMinimum: 9 } }),
    );
  });
  it('agrees with an LRU that is written another way', () => {
    const olmoe = generateTrace(TRACE_RECIPES.olmoe, { nTokens: 60, seed: 2 });
    for (const nSlots of [130, 256, 500]) {
      const cache = new Map<number, true>();
      let nHits = 0;
      for (let at = 0; at < olmoe.ids.length; at += 8) {
        const layer = (at / 8) % 16;
        const route = [...olmoe.ids.subarray(at, at + 8)].map((id) => layer * 64 + id);
        nHits += route.filter((key) => cache.has(key)).length;
        for (const key of route) cache.delete(key);
        for (const key of route) cache.set(key, true);
        while (cache.size > nSlots) cache.delete(cache.keys().next().value!);
      }
      expect(simulate(olmoe, lruGlobal, { nSlots }).nHits).toBe(nHits);
    }
  });
  it('an LRU smaller than what one token uses hits nothing; decayed counts do', () => {
    const olmoe = generateTrace(TRACE_RECIPES.olmoe, { nTokens: 60, seed: 2 });
    expect(simulate(olmoe, lruGlobal, { nSlots: 16 * 8 - 8 }).nHits).toBe(0);
    expect(simulate(olmoe, decayedCounts, { nSlots: 16 * 8 - 8 }).hitRate).toBeGreaterThan(0.1);
  });
});

describe('belady', () => {
  it('has as few misses as any choice of victims, for 40 random traces', () => {
    for (let seed = 0; seed < 40; seed++) {
      const random = seeded(seed);
      const trace = traceOf(
        Array.from({ length: 6 }, () => [...random.ints(2, 0, 2)]),
        3,
      );
      const nMisses = simulate(trace, belady(trace), { nSlots: 2 }).nMisses;
      const keys = [...trace.ids].map((id, i) => (i % 2) * 3 + id);
      expect(nMisses, `seed ${seed}`).toBe(fewestMisses(keys, [], 2));
    }
  });

  /** By trying every victim. */
  function fewestMisses([key, ...later]: readonly number[], resident: readonly number[], nSlots: number): number {
    if (key === undefined) return 0;
    if (resident.includes(key)) return fewestMisses(later, resident, nSlots);
    if (resident.length < nSlots) return 1 + fewestMisses(later, [...resident, key], nSlots);
    const choices = resident.map((victim) =>
      fewestMisses(later, [...resident.filter((k) => k !== victim), key], nSlots),
    );
    return 1 + Math.min(...choices);
  }
});

describe('decayedCounts', () => {
  /** The bench checks this over all recipes, shares and longer traces. */
  it('hits more than LRU, by layer and global, where routing is as in Arctic and Qwen', () => {
    const trace = generateTrace(TRACE_RECIPES['arctic-mid'], { nTokens: 500, seed: 1 });
    const nSlots = (35 * 128) / 8;
    const hitRate = (policy: typeof lruGlobal) => simulate(trace, policy, { nSlots, nWarmUpTokens: 200 }).hitRate;
    expect(hitRate(decayedCounts)).toBeGreaterThan(hitRate(lruPerLayer) + 0.02);
    expect(hitRate(decayedCounts)).toBeGreaterThan(hitRate(lruGlobal) + 0.02);
    expect(hitRate(decayedCounts)).toBeLessThan(hitRate(belady(trace)));
  });
  it('misses less after a warm start than after a cold one', () => {
    // The next visit begins a topic's length later: that long, a mood is forgotten and the topic has mostly changed.
    const trace = generateTrace(TRACE_RECIPES['arctic-mid'], { nTokens: 964, seed: 3 });
    const [before, after] = [tokensOf(trace, 0, 600), tokensOf(trace, 900, 964)];
    const nSlots = (35 * 128) / 4;
    const last = decayedCounts({ ...trace, nSlots });
    simulate(before, () => last, { nSlots });
    const keys = Array.from({ length: 35 * 128 }, (_, key) => key);
    const resident = keys.sort((a, b) => last.score(b, 600) - last.score(a, 600) || a - b).slice(0, nSlots);
    const next = decayedCounts({ ...trace, nSlots });
    next.restore(last.snapshot(600));
    const warm = simulate(after, () => next, { nSlots, resident });
    const cold = simulate(after, decayedCounts, { nSlots });
    expect(warm.nMisses).toBeLessThan(0.8 * cold.nMisses);
  });

  function tokensOf(trace: Trace, from: number, to: number): Trace {
    const n = trace.nLayers * trace.nExpertsUsed;
    return {
      ...trace,
      nTokens: to - from,
      ids: trace.ids.subarray(from * n, to * n),
      weights: trace.weights.subarray(from * n, to * n),
      phases: trace.phases.subarray(from, to),
    };
  }
});
