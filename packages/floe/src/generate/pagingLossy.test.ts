/** The one mode in which an answer is not exact: what it leaves out, and what that costs. */
import { describe, expect, it } from 'vitest';
import { measureLoss } from './index.ts';
import { answer, models, PROMPT, shape, startPaged } from './pagedAnswer.testing.ts';

const file = models[1]!.bytes();

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
    const { engine } = await startPaged(file);
    const ids = PROMPT;
    engine.decoder.dropBelow = 1;
    const cost = await measureLoss(engine, ids);
    expect(cost).toMatchObject({ nTokens: ids.length - 1, nRouted: (ids.length - 1) * shape.nLayers * 2 });
    expect(cost.dropped).toBeGreaterThan(0);
    expect(cost.meanKl).toBeGreaterThan(1e-4);
    expect(cost.droppedMass).toBeGreaterThan(0);
    expect(engine.decoder.dropBelow).toBe(1);
    engine.decoder.dropBelow = 0;
    expect(await measureLoss(engine, ids)).toMatchObject({ dropped: 0, droppedMass: 0, meanKl: 0 });
  });
});
