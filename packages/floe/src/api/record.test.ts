/** A trace recorded while a model answers is whole, has every token once, and says what the model says of itself. */
import { testGpu } from '@floe/testkit/nodeGpu';
import { randomModel } from '@floe/testkit/randomModel';
import { expect, it } from 'vitest';
import { DECODE, PROMPT, readTrace } from '../experts/index.ts';
import { nodeHost } from '../host/node.ts';
import { loadInThread } from './load.ts';

const SHAPE = { nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, expertDim: 96, nExperts: 8 };
const ROUTES = 2 * 2;

it('has each token that was routed once, prompts and answers, paged ones too', { timeout: 120_000 }, async () => {
  const file = randomModel({ architecture: 'arctic', ...SHAPE, nExpertsUsed: 2, type: 'Q8_0', seed: 5 });
  const pieces: Uint8Array[] = [];
  const model = await loadInThread(nodeHost(testGpu()), new Blob([file as Uint8Array<ArrayBuffer>]), {
    budget: { gpuBytes: '25%', memoryBytes: 0 },
    onTrace: (bytes) => void pieces.push(bytes),
  });
  await model.logprobs([7, 8, 9, 10, 11], { top: 1 });
  await model.completions.create({ prompt: 'a b', max_tokens: 6, temperature: 0 });
  const nPrompt = (await model.tokenize('a b', { addSpecial: true })).length;
  const { counts, lastRouted } = (await model.experts())!;
  const { name } = model.info;
  await model.unload();

  const trace = readTrace(new Uint8Array(Buffer.concat(pieces)));
  expect(trace).toMatchObject({ model: name, nLayers: 2, nExperts: 8, nExpertsUsed: 2 });
  const nOf = (phase: number) => trace.phases.filter((one) => one === phase).length;
  expect([nOf(PROMPT), nOf(DECODE)]).toEqual([5 + nPrompt, counts.nTokens]);
  expect(counts.nTokens).toBeGreaterThan(0);
  expect(counts.misses).toBeGreaterThan(0);
  expect(trace.nTokens * ROUTES).toBe(counts.hits + counts.misses);
  expect(trace.ids.subarray(-ROUTES)).toEqual(lastRouted);
  // A decoded token's are a softmax over the chosen; a prompt's are not read back.
  expect(trace.weights.at(-1)! + trace.weights.at(-2)!).toBeCloseTo(1, 2);
  expect(trace.weights.at(0)).toBe(0);
});
