/** Vectors of texts through the public face, of a random BERT: what is asked for in which shape, and what is refused. */

import { writeGguf } from '@floe/testkit/ggufWriter';
import { testGpu } from '@floe/testkit/nodeGpu';
import { randomGguf, randomModel } from '@floe/testkit/randomModel';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeHost } from '../host/node.ts';
import { KV_ROWS } from '../kv/index.ts';
import { loadInThread } from './load.ts';
import { planInThread } from './plan.ts';
import type { Model } from './types.ts';

const CONTEXT = 62;
const small = { nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 4, ffDim: 96, nVocab: 320, nCtxTrain: CONTEXT, seed: 7 };
const bytes = randomModel({ ...small, architecture: 'bert', type: 'F32' });
const source = new Blob([bytes as Uint8Array<ArrayBuffer>]);

let model: Model;
beforeAll(async () => {
  model = await loadInThread(nodeHost(testGpu()), source);
});
afterAll(() => model?.unload());

const create = (input: unknown, more: object = {}) => model.embeddings.create({ input: input as string, ...more });
const vectorsOf = async (input: unknown, more: object = {}) =>
  (await create(input, more)).data.map(({ embedding }) => embedding);
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

describe('embeddings.create', () => {
  it('answers in the shape of OpenAI, with vectors of length 1', async () => {
    const answer = await create('a red apple');
    const ids = await model.tokenize('a red apple', { addSpecial: true });
    const { name } = model.info;
    expect(answer).toMatchObject({
      object: 'list',
      model: name,
      usage: { prompt_tokens: ids.length, total_tokens: ids.length },
    });
    expect(answer.data.map(({ object, index }) => [object, index])).toEqual([['embedding', 0]]);
    const { embedding } = answer.data[0]!;
    expect(embedding).toHaveLength(64);
    expect(dot(embedding, embedding)).toBeCloseTo(1, 6);
    expect(model.info.embeddings).toEqual({ dimensions: 64, pooling: 'mean' });
  });

  it('gives a text the same bits alone, among others, and as its ids with CLS and SEP', async () => {
    const texts = ['a red apple', 'the sea', 'a red apple'];
    const [one, sea, again] = await vectorsOf(texts);
    expect(again).toEqual(one);
    expect(dot(one!, sea!)).toBeLessThan(0.999);
    expect(await vectorsOf(texts[1])).toEqual([sea]);
    const ids = await Promise.all(texts.map((text) => model.tokenize(text, { addSpecial: true })));
    expect([ids[0]![0], ids[0]!.at(-1)]).toEqual([2, 3]);
    expect(await vectorsOf(ids[0])).toEqual([one]);
    expect(await vectorsOf(ids)).toEqual([one, sea, one]);
  });

  it('calls at once take turns, each with its own vector', async () => {
    const texts = ['one', 'another text', 'a third'];
    const together = await Promise.all(texts.map((text) => vectorsOf(text)));
    expect(together.flat()).toEqual(await vectorsOf(texts));
  });

  it('cuts vectors to the first dimensions, of length 1 again', async () => {
    const [[whole], [cut]] = [await vectorsOf('the sea'), await vectorsOf('the sea', { dimensions: 16 })];
    expect(cut).toHaveLength(16);
    expect(dot(cut!, cut!)).toBeCloseTo(1, 6);
    expect(dot(cut!, whole!.slice(0, 16)) ** 2).toBeCloseTo(dot(whole!.slice(0, 16), whole!.slice(0, 16)), 6);
  });

  it.each([
    ['no text', []],
    ['a number alone', 7],
    ['texts and ids mixed', ['a', [1]]],
    ['an empty list of ids', [[2, 3], []]],
    ['an id the model lacks', [2, 320, 3]],
    ['a list of anything else', [null]],
  ])('refuses %s', async (_, input) => {
    await expect(create(input)).rejects.toMatchObject({ code: 'request/invalid' });
  });

  it.each([0, 65, 1.5])('refuses %d dimensions', async (dimensions) => {
    await expect(create('a', { dimensions })).rejects.toMatchObject({
      code: 'request/invalid',
      details: { argument: 'dimensions' },
    });
  });

  it('refuses a text longer than the model sees before anything is computed, and says which', async () => {
    const ids = Array.from({ length: CONTEXT }, (_, i) => 5 + i);
    expect(await vectorsOf(ids)).toHaveLength(1);
    const refused = create([
      [2, 3],
      [2, ...ids],
    ]);
    await expect(refused).rejects.toMatchObject({ code: 'context/full', details: { neededTokens: 63, window: 62 } });
    await expect(refused).rejects.toThrow('input[1] has 63 tokens');
  });

  it('stops at its signal, and the next call is answered', async () => {
    await expect(create('a', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'request/aborted' });
    const controller = new AbortController();
    const call = create(['a', 'b', 'c'], { signal: controller.signal });
    controller.abort();
    await expect(call).rejects.toMatchObject({ code: 'request/aborted' });
    expect(await vectorsOf('a')).toHaveLength(1);
  });
});

describe('a model that makes vectors', () => {
  it('refuses to write, whole or streamed, and says what to call instead', async () => {
    const messages = [{ role: 'user', content: 'hi' }];
    const refusal = { code: 'request/unsupported', remedy: expect.stringContaining('model.embeddings.create') };
    await expect(model.chat.completions.create({ messages })).rejects.toMatchObject(refusal);
    await expect(model.completions.create({ prompt: 'hi' })).rejects.toMatchObject(refusal);
    await expect(model.logprobs([2, 3], { top: 1 })).rejects.toMatchObject(refusal);
    const streamed = async () => {
      for await (const _ of model.chat.completions.create({ messages, stream: true })) break;
    };
    await expect(streamed()).rejects.toMatchObject(refusal);
  });

  it('takes no more of the GPU than was planned, keys and values of one layer', async () => {
    const { gpu, contextLength, kv, embeddings } = await planInThread(nodeHost(null), source);
    expect({ contextLength, kv, embeddings }).toEqual({
      contextLength: CONTEXT,
      kv: 'F32',
      embeddings: model.info.embeddings,
    });
    const { gpuBytes } = await model.memory();
    expect(gpuBytes).toMatchObject({ weights: gpu.denseBytes, activations: gpu.activationBytes });
    // Buffers are of whole words of 16 bytes.
    expect(gpuBytes.kv).toBe(Math.ceil(gpu.kvBytes / 16) * 16);
    expect(gpuBytes.other).toBeLessThanOrEqual(gpu.otherBytes);
    // Two blocks of 32 positions, and one on its way, of keys and values of 64; a table of two.
    expect(gpu.kvBytes).toBe(3 * 32 * 2 * 64 * 4 + KV_ROWS * 2 * 4);
  });

  it('may have more rows of the embedding than tokens, and not fewer', async () => {
    const gguf = randomGguf({ ...small, architecture: 'bert', type: 'F32' });
    const known = gguf.metadata['tokenizer.ggml.tokens'] as readonly string[];
    const kinds = gguf.metadata['tokenizer.ggml.token_type'] as Int32Array;
    const withTokens = (nTokens: number) => {
      const tokens = Array.from({ length: nTokens }, (_, i) => known[i] ?? `[more${i}]`);
      const types = Int32Array.from(tokens, (_, i) => kinds[i] ?? 1);
      const vocabulary = { 'tokenizer.ggml.tokens': tokens, 'tokenizer.ggml.token_type': types };
      const file = writeGguf({ ...gguf, metadata: { ...gguf.metadata, ...vocabulary } });
      return loadInThread(nodeHost(testGpu()), new Blob([file as Uint8Array<ArrayBuffer>]));
    };
    const padded = await withTokens(314);
    const { data } = await padded.embeddings.create({ input: [2, 100, 3] });
    expect(await vectorsOf([2, 100, 3])).toEqual([data[0]!.embedding]);
    await padded.unload();
    await expect(withTokens(321)).rejects.toMatchObject({ code: 'text/vocabulary' });
  });

  it('is refused after it is unloaded', async () => {
    const other = await loadInThread(nodeHost(testGpu()), source, { context: { window: 20 } });
    expect(other.info.context).toMatchObject({ window: 20, overflow: 'error', limitedBy: 'asked' });
    await other.unload();
    await expect(other.embeddings.create({ input: 'a' })).rejects.toMatchObject({ code: 'request/invalid' });
  });
});
