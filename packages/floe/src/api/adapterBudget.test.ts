/** Adapters within a budget of bytes: what they will take is counted before a weight of one is read. */
import { testGpu } from '@floe/testkit/nodeGpu';
import { randomAdapter } from '@floe/testkit/randomAdapter';
import { type RandomModelOptions, randomModel } from '@floe/testkit/randomModel';
import { describe, expect, it } from 'vitest';
import { readGguf } from '../gguf/index.ts';
import { nodeHost } from '../host/node.ts';
import { adapterBytes, planAdapter, planMemory, planModel, stepSizes } from '../model/index.ts';
import { contextOf } from './context.ts';
import { loadInThread } from './load.ts';
import type { Budget, Model } from './types.ts';

const host = nodeHost(testGpu());
const CONTEXT = 64;
const shape = { nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, type: 'F32', seed: 2 } as const;
const llama: RandomModelOptions = { ...shape, architecture: 'llama', ffDim: 96 };
const arctic: RandomModelOptions = { ...shape, architecture: 'arctic', expertDim: 96, nExperts: 8, nExpertsUsed: 2 };

const headerOf = (bytes: Uint8Array) =>
  readGguf({ sizeBytes: bytes.length, read: async (at, n) => bytes.subarray(at, at + n) });
const fileOf = (bytes: Uint8Array, name: string) => new File([new Uint8Array(bytes)], name);

/** A model's file, two adapters of it for some of its tensors, and what they take together. */
async function given(options: RandomModelOptions, only = /./) {
  const bytes = randomModel(options);
  const adapters = [3, 4].map((seed) => randomAdapter(options, { seed, rank: 4, alpha: 8, only }));
  const plan = planModel(await headerOf(bytes));
  const context = contextOf(host, plan, { contextLength: CONTEXT });
  const plans = await Promise.all(
    adapters.map(async (adapter) => planAdapter(await headerOf(adapter), options.architecture, plan)),
  );
  const bytesFor = (n: number) => adapterBytes(plan, stepSizes(plan, context), plans.slice(0, n));
  const load = (budget: Budget) => loadInThread(host, fileOf(bytes, 'm.gguf'), { contextLength: CONTEXT, budget });
  return { plan, context, adapters: adapters.map((one, i) => fileOf(one, `${i}.gguf`)), bytesFor, load };
}

const bytesOf = async (model: Model) => (await model.memory()).gpuBytes;
const sumOf = async (model: Model) => Object.values(await bytesOf(model)).reduce((sum, bytes) => sum + bytes, 0);
const say = (model: Model) => model.completions.create({ prompt: 'a b c d', temperature: 0, max_tokens: 4 });

describe('a budget of bytes', () => {
  it.each([
    { what: 'gate over up', model: llama },
    { what: 'gate and up in two formats', model: { ...llama, types: { 'blk.0.ffn_up': 'BF16' } } as const },
  ])('has room for an adapter, to the byte, and is kept to: $what', async ({ model: options }) => {
    const { plan, context, adapters, bytesFor, load } = await given(options);
    const own = planMemory(plan, context, 'all').gpuBytes;
    const gpuBytes = own + bytesFor(1);
    await using model = await load({ gpuBytes });
    const first = await model.adapters.add(adapters[0]!);
    await say(model);
    expect((await bytesOf(model)).adapters).toBeGreaterThan(0);
    expect(await sumOf(model)).toBeLessThanOrEqual(gpuBytes);

    const before = await bytesOf(model);
    await expect(model.adapters.add(adapters[1]!)).rejects.toMatchObject({
      code: 'model/adapter-budget',
      details: { neededBytes: bytesFor(2), roomBytes: bytesFor(1), nOthers: 1 },
      remedy: expect.stringMatching(/budget.gpuBytes/),
    });
    expect(await bytesOf(model)).toEqual(before);
    await first.remove();
    await model.adapters.add(adapters[1]!);
  });

  it('a byte too small refuses it before anything is placed', async () => {
    const { plan, context, adapters, bytesFor, load } = await given(llama);
    await using model = await load({ gpuBytes: planMemory(plan, context, 'all').gpuBytes + bytesFor(1) - 1 });
    const before = await bytesOf(model);
    await expect(model.adapters.add(adapters[0]!)).rejects.toMatchObject({ code: 'model/adapter-budget' });
    expect(await bytesOf(model)).toEqual(before);
    expect(await model.adapters.list()).toEqual([]);
  });

  it('that experts would fill keeps what `adapterBytes` says', async () => {
    const { plan, context, adapters, bytesFor, load } = await given(arctic, /attn_q|attn_k/);
    const gpuBytes = planMemory(plan, context, 'all').gpuBytes - 1;
    await using full = await load({ gpuBytes });
    await expect(full.adapters.add(adapters[0]!)).rejects.toMatchObject({ code: 'model/adapter-budget' });

    await using model = await load({ gpuBytes, adapterBytes: bytesFor(1) });
    expect((await model.experts())!.nSlots).toBeLessThan((await full.experts())!.nSlots);
    await model.adapters.add(adapters[0]!);
    await say(model);
    expect(await sumOf(model)).toBeLessThanOrEqual(gpuBytes);
  });

  it('is asked of no adapter where it is no number of bytes', async () => {
    const { adapters, load } = await given(arctic);
    await using model = await load({ gpuBytes: 'min' });
    await model.adapters.add(adapters[0]!);
    await model.adapters.add(adapters[1]!);
  });
});
