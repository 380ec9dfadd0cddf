/** More conversations than the cache has room for: those that made room come back by themselves. */
import { testGpu } from '@floe/testkit/nodeGpu';
import { randomModel } from '@floe/testkit/randomModel';
import 'fake-indexeddb/auto';
import { IDBFactory } from 'fake-indexeddb';
import { afterAll, expect, it, vi } from 'vitest';
import { nodeHost } from '../host/node.ts';
import { loadInThread } from './load.ts';
import type { LocalModel } from './model.ts';
import type { Model } from './types.ts';

const small = { nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, ffDim: 96, nVocab: 320 } as const;
const bytes = randomModel({ ...small, architecture: 'llama', type: 'Q8_0', seed: 1 });
const words = 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen';
const prompts = ['a ', 'b ', 'c '].map((first) => first + words);
const ask = { temperature: 0, max_tokens: 8 } as const;

const loaded: Model[] = [];
afterAll(() => Promise.all(loaded.map((model) => model.unload())));

async function load(indexedDB: IDBFactory | null, conversations: number): Promise<Model> {
  const host = { ...nodeHost(testGpu()), indexedDB };
  const options = { context: { window: 96, conversations } };
  const model = await loadInThread(host, new Blob([bytes as Uint8Array<ArrayBuffer>]), options);
  loaded.push(model);
  return model;
}

/** Three texts in turns, each going on from what it was. */
async function talk(model: Model): Promise<{ texts: string[]; cached: number[] }> {
  const texts = [...prompts];
  const cached: number[] = [];
  for (let turn = 0; turn < 2; turn++) {
    for (const [i, prompt] of texts.entries()) {
      const { text, usage } = await model.completions.create({ ...ask, prompt });
      texts[i] = `${prompt}${text} and`;
      if (turn > 0) cached.push(usage.cachedTokens);
    }
  }
  return { texts, cached };
}

it('go to storage and come back, to the same answers', async () => {
  const roomy = await talk(await load(null, 4));
  expect(Math.min(...roomy.cached)).toBeGreaterThan(32);
  const model = await load(new IDBFactory(), 1);
  const found = await talk(model);
  expect(found).toEqual(roomy);
  const { spills, returns, forgotten } = (await model.memory()).conversations!;
  expect(spills).toBeGreaterThanOrEqual(3);
  expect(returns).toBe(3);
  expect(forgotten).toBe(0);
  // Nobody's to see.
  expect(await model.conversations.list()).toEqual([]);
});

it('where there is no storage, are computed again, and it is said', async () => {
  const model = await load(null, 1);
  const { cached } = await talk(model);
  expect(Math.min(...cached)).toBe(0);
  const { forgotten, spilled, live } = (await model.memory()).conversations!;
  expect(forgotten).toBeGreaterThanOrEqual(3);
  expect([spilled, live > 0]).toEqual([0, true]);
});

it('larger than what is read back at once go a portion after another, and come back so, within the budget', async () => {
  // 4 MiB for each 32 positions.
  const wide = {
    ...small,
    nLayers: 4,
    headDim: 256,
    nHeads: 16,
    nKvHeads: 16,
    architecture: 'llama',
    type: 'Q8_0',
    seed: 1,
  } as const;
  const source = new Blob([randomModel(wide) as Uint8Array<ArrayBuffer>]);
  const open = async (conversations: number, gpuBytes?: number) => {
    const host = { ...nodeHost(testGpu()), indexedDB: new IDBFactory() };
    const context = { window: 224, conversations, kv: 'F32' } as const;
    const budget = gpuBytes === undefined ? {} : { gpuBytes };
    const model = (await loadInThread(host, source, { context, budget })) as LocalModel;
    loaded.push(model);
    return model;
  };
  const texts = ['a ', 'b '].map((first) => `${first}${words} `.repeat(3));
  const goOn = async (model: Model) => {
    const [{ text }] = [await model.completions.create({ ...ask, prompt: texts[0]! })];
    await model.completions.create({ ...ask, prompt: texts[1]! });
    const { ids, usage } = await model.completions.create({ ...ask, prompt: `${texts[0]}${text} and` });
    return { ids, cached: usage.cachedTokens };
  };
  const roomy = await goOn(await open(4));
  expect(roomy.cached).toBeGreaterThan(128);

  const { leastBytes } = await open(1, 1).catch((error) => error.details);
  const model = await open(1, leastBytes);
  const { buffers } = (model as unknown as { parts: LocalModel['parts'] }).parts.device;
  const seen: { readonly readBytes: number; readonly gpuBytes: number }[] = [];
  const { readback } = buffers;
  vi.spyOn(buffers, 'readback').mockImplementation((label, sizeBytes) => {
    const made = readback.call(buffers, label, sizeBytes);
    const gpuBytes = Object.values(buffers.bytes()).reduce((sum, n) => sum + n, 0);
    seen.push({ readBytes: sizeBytes, gpuBytes });
    return made;
  });
  expect(await goOn(model)).toEqual(roomy);
  const { spills, returns, forgotten } = (await model.memory()).conversations!;
  expect(spills).toBeGreaterThanOrEqual(2);
  expect([returns, forgotten]).toEqual([1, 0]);
  const portions = seen.map(({ readBytes }) => readBytes / 2 ** 20).filter((mib) => mib >= 4);
  expect(portions.slice(0, 2)).toEqual([16, expect.any(Number)]);
  expect(Math.max(...portions)).toBe(16);
  expect(Math.max(...seen.map(({ gpuBytes }) => gpuBytes))).toBeLessThanOrEqual(leastBytes);
}, 120_000);
