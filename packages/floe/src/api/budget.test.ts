import { resolve } from 'node:path';
import { testGpu } from '@floe/testkit/nodeGpu';
import { randomModel } from '@floe/testkit/randomModel';
import { describe, expect, it } from 'vitest';
import { readGguf } from '../gguf/index.ts';
import { nodeHost } from '../host/node.ts';
import { planMemory, planModel } from '../model/index.ts';
import { openSource } from '../store/index.ts';
import { divideMemory } from './budget.ts';
import { contextOf } from './context.ts';
import { loadInThread } from './load.ts';

/** Arctic's 128 experts in miniature, four layers of them. */
const source = { path: resolve(import.meta.dirname, '../../../../demo/public/models/arctic-mini-sql-q4_0.gguf') };
const host = nodeHost(testGpu());
const CONTEXT = 256;

async function planOf() {
  const bytes = await openSource(host, source);
  const plan = planModel(await readGguf(bytes));
  await bytes.close();
  return plan;
}

describe('a budget', () => {
  it('left out is all the model needs where that is half of the memory at the most, and else that half', async () => {
    const plan = await planOf();
    const all = planMemory(plan, CONTEXT, 'all');
    const roomy = divideMemory({ memoryBytes: 2 * all.gpuBytes }, plan, CONTEXT);
    expect(roomy).toMatchObject({ slotBytes: all.slotBytes, memoryBytes: 0, notices: [] });
    const tight = divideMemory({ memoryBytes: 2 * all.gpuBytes - 2e6 }, plan, CONTEXT);
    expect(tight.gpuBytes).toBeLessThanOrEqual(all.gpuBytes - 1e6);
    expect(tight.memoryBytes).toBeGreaterThan(0);
    expect(tight.notices.map(({ kind }) => kind)).toEqual(['paged']);
  });

  it('of a share or the fewest sizes the slots alone', async () => {
    const plan = await planOf();
    const [quarter] = divideMemory(host, plan, CONTEXT, { gpuBytes: '25%' }).slots;
    expect(quarter!.nSlots).toBe(quarter!.layers.length * 32);
    const fewest = divideMemory(host, plan, CONTEXT, { gpuBytes: 'min' });
    expect(fewest.slots[0]!.nSlots).toBe(plan.shape.nExpertsUsed + 1);
    // Fewer slots than a token uses experts: it works, and is told.
    expect(fewest.notices.map(({ kind }) => kind)).toEqual(['paged', 'few-slots']);
  });

  it.each(['lots', '120%', '-1%', -5, 0, Number.NaN])('of %s is refused', async (gpuBytes) => {
    const plan = await planOf();
    const divide = () => divideMemory(host, plan, CONTEXT, { gpuBytes: gpuBytes as number });
    expect(divide).toThrow(expect.objectContaining({ code: 'request/invalid' }));
  });

  it('too small names the least, which works and is kept to, byte for byte', async () => {
    const plan = await planOf();
    const refused = await loadInThread(host, source, { contextLength: CONTEXT, budget: { gpuBytes: 1e6 } }).catch(
      (error) => error,
    );
    expect(refused).toMatchObject({ code: 'experts/budget-too-small' });
    const { leastBytes } = refused.details;
    const context = contextOf(host, plan, { contextLength: CONTEXT });
    const oneLess = () => planMemory(plan, context, leastBytes - 1);
    expect(oneLess).toThrow(expect.objectContaining({ code: 'experts/budget-too-small' }));
    const model = await loadInThread(host, source, { contextLength: CONTEXT, budget: { gpuBytes: leastBytes } });
    const gpuBytes = async () => Object.values((await model.memory()).gpuBytes).reduce((sum, bytes) => sum + bytes, 0);
    try {
      expect(await gpuBytes()).toBeLessThanOrEqual(leastBytes);
      const { ids } = (
        await model.chat.completions.create({
          messages: [{ role: 'user', content: 'CREATE TABLE t (a INT);\nHow many rows are there?' }],
          max_tokens: 8,
          temperature: 0,
        })
      ).choices[0];
      expect(ids.length).toBeGreaterThan(0);
      expect(await gpuBytes()).toBeLessThanOrEqual(leastBytes);
      const report = (await model.experts())!;
      expect(report.nSlots).toBe(plan.shape.nExpertsUsed + 1);
      expect(report.leastSlots).toBe(report.nSlots);
      expect(report.counts.misses).toBeGreaterThan(0);
      expect(report.memoryBytes.used).toBeLessThanOrEqual(report.memoryBytes.budget);
      expect([...report.places].filter((place) => place === 3)).toHaveLength(report.nSlots);
    } finally {
      await model.unload();
    }
  }, 180_000);

  it('below what a model without experts takes is refused before a weight is read, and what is named works', async () => {
    const shape = { nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, ffDim: 96, nVocab: 320 } as const;
    const file = new File(
      [new Uint8Array(randomModel({ ...shape, architecture: 'llama', type: 'F32', seed: 5 }))],
      'dense.gguf',
    );
    const load = (gpuBytes: number) => loadInThread(host, file, { contextLength: 64, budget: { gpuBytes } });
    const refused = await load(1e6).catch((error) => error);
    expect(refused).toMatchObject({ name: 'ModelError', code: 'model/budget-too-small', details: { budget: 1e6 } });
    const { leastBytes } = refused.details;
    await expect(load(leastBytes - 1)).rejects.toMatchObject({ code: 'model/budget-too-small' });
    const model = await load(leastBytes);
    try {
      const { usage } = await model.completions.create({ prompt: 'a b', temperature: 0, max_tokens: 4 });
      expect(usage.completion_tokens).toBeGreaterThan(0);
      const used = Object.values((await model.memory()).gpuBytes).reduce((sum, bytes) => sum + bytes, 0);
      expect(used).toBeLessThanOrEqual(leastBytes);
    } finally {
      await model.unload();
    }
    // Unasked it takes what it needs, on a machine however small.
    const bytes = await openSource(host, file);
    const plan = planModel(await readGguf(bytes));
    expect(divideMemory({ memoryBytes: 1e6 }, plan, 64).gpuBytes).toBeLessThanOrEqual(leastBytes);
  }, 60_000);
});
