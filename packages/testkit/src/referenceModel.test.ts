/** The float64 forward pass says what llama.cpp says, on every architecture it has. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { testData } from './data.ts';
import { logSoftmax, nmse } from './expectNear.ts';
import { openOracle } from './oracle.ts';
import { type RandomModelOptions, randomModel } from './randomModel.ts';
import { type ReferenceOutput, referenceModel } from './referenceModel.ts';
import { seeded } from './seeded.ts';

const folder = mkdtempSync(join(tmpdir(), 'floe-reference-'));
afterAll(() => rmSync(folder, { recursive: true }));

const small = { nLayers: 3, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, seed: 11, type: 'F32' } as const;
const models: Record<string, RandomModelOptions> = {
  arctic: { ...small, architecture: 'arctic', expertDim: 96, nExperts: 8, nExpertsUsed: 2 },
  'arctic, one KV head for all': {
    ...small,
    architecture: 'arctic',
    nKvHeads: 1,
    expertDim: 32,
    nExperts: 5,
    nExpertsUsed: 3,
  },
  llama: { ...small, architecture: 'llama', ffDim: 160 },
  'llama, tied, with RoPE frequencies': { ...small, architecture: 'llama', tied: true, ropeFreqs: true, ropeBase: 5e5 },
  mixtral: { ...small, architecture: 'llama', expertDim: 48, nExperts: 4, nExpertsUsed: 2 },
};
const ids = Array.from(seeded(12).ints(32, 0, 255));

describe.each(Object.entries(models))('%s', (name, options) => {
  const bytes = randomModel(options);
  const reference = referenceModel(bytes);
  const output = reference.forward(ids);

  it('has the distributions of llama.cpp at each position', async () => {
    const path = join(folder, `${name}.gguf`);
    writeFileSync(path, bytes);
    const oracle = await openOracle(path);
    const expected = await oracle.logprobs(ids);
    await oracle.close();
    // Some hundred f32 roundings of 6e-8 in llama.cpp, squared: below 1e-10. Its K and V are F32 as the weights are.
    for (const [at, logits] of output.logits.entries()) {
      expect(nmse(logSoftmax(logits), expected[at]!), `at ${at}`).toBeLessThan(1e-9);
    }
  });

  it('control: another frequency base is far out of that bound', () => {
    const other = referenceModel(randomModel({ ...options, ropeBase: 2e4 })).forward(ids);
    expect(nmse(other.logits.at(-1)!, output.logits.at(-1)!)).toBeGreaterThan(1e-6);
  });

  it('a window that holds everything changes nothing, and a smaller one only what is behind it', () => {
    expectSame(reference.forward(ids, { nWindow: 32, nSinks: 4 }), output, 32);
    const narrow = reference.forward(ids, { nWindow: 12, nSinks: 4 });
    expectSame(narrow, output, 12);
    expect(nmse(narrow.logits[12]!, output.logits[12]!)).toBeGreaterThan(1e-6);
  });

  it('with a window, scores depend on places: the stream behind the sinks may be any length', () => {
    // One layer deep, a query sees its window alone; deeper, what is left of older tokens is in the values it sees.
    const shallow = referenceModel(randomModel({ ...options, nLayers: 1 }));
    const window = { nWindow: 10, nSinks: 3 };
    const tail = ids.slice(-7);
    const short = shallow.forward([...ids.slice(0, 3), ...ids.slice(3, 9), ...tail], window).logits.at(-1)!;
    const long = shallow.forward([...ids.slice(0, 3), ...ids.slice(3, 25), ...tail], window).logits.at(-1)!;
    expect(nmse(long, short)).toBeLessThan(1e-20);
  });
});

describe('routes', () => {
  it('lists the chosen experts, best first, with weights that sum to 1', () => {
    const { routes } = referenceModel(randomModel(models.arctic!)).forward(ids);
    expect(routes.map((layer) => layer.length)).toEqual([32, 32, 32]);
    for (const { experts, weights, margin } of routes.flat()) {
      expect(new Set(experts).size).toBe(2);
      expect(weights[0]! + weights[1]!).toBeCloseTo(1, 12);
      expect(weights[0]!).toBeGreaterThanOrEqual(weights[1]!);
      expect(margin).toBeGreaterThanOrEqual(0);
    }
  });
  it.each([8, 128])('of a random model with %i experts, margins are rarely below 1e-2', (nExperts) => {
    const { routes } = referenceModel(randomModel({ ...models.arctic!, expertDim: 32, nExperts })).forward(ids);
    const margins = routes.flat().map(({ margin }) => margin);
    expect(margins.filter((margin) => margin < 1e-2).length / margins.length).toBeLessThan(0.1);
    expect(new Set(routes.flatMap((layer) => layer.flatMap(({ experts }) => experts))).size).toBeGreaterThan(7);
  });
  it('a model without experts has none', () => {
    expect(referenceModel(randomModel(models.llama!)).forward([1]).routes).toEqual([]);
  });
});

const trained = testData('arctic-tiny-sql-f32.gguf');
describe.skipIf(!trained)('a trained model', () => {
  it('has the distributions of llama.cpp behind a chat', async () => {
    const oracle = await openOracle(trained!);
    const text = '<|im_start|>user\nHow many users are there?<|im_end|>\n<|im_start|>assistant\n';
    const prompt = oracle.tokenize(text, { special: true });
    const expected = await oracle.logprobs(prompt);
    await oracle.close();
    const { logits } = referenceModel(readFileSync(trained!)).forward(prompt);
    expect(nmse(logSoftmax(logits.at(-1)!), expected.at(-1)!)).toBeLessThan(1e-9);
  });
});

function expectSame(actual: ReferenceOutput, expected: ReferenceOutput, nTokens: number): void {
  for (let at = 0; at < nTokens; at++) expect(nmse(actual.logits[at]!, expected.logits[at]!)).toBeLessThan(1e-24);
}
