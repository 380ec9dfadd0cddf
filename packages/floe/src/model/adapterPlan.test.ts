/** What an adapter's file says, and which files are refused: each a change away from one that is taken. */
import type { TensorInput } from '@floe/testkit/ggufWriter';
import { type RandomAdapterOptions, randomAdapter } from '@floe/testkit/randomAdapter';
import { type RandomModelOptions, randomModel } from '@floe/testkit/randomModel';
import { describe, expect, it } from 'vitest';
import { FloeError } from '../errors/index.ts';
import { readGguf } from '../gguf/index.ts';
import { type AdapterPlan, planAdapter } from './adapterPlan.ts';
import { planModel } from './plan.ts';

const model: RandomModelOptions = {
  ...{ architecture: 'arctic', nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, type: 'Q8_0', seed: 1 },
  ...{ expertDim: 96, nExperts: 8, nExpertsUsed: 2 },
};
const sound: RandomAdapterOptions = { seed: 2, rank: 4, alpha: 6 };

const headerOf = (bytes: Uint8Array) =>
  readGguf({ sizeBytes: bytes.length, read: async (at, n) => bytes.subarray(at, at + n) });

const planned = headerOf(randomModel(model)).then(planModel);

/** Plans an adapter of `of`, by itself of the model, on the model. */
async function plan(own: Partial<RandomAdapterOptions>, of: Partial<RandomModelOptions> = {}): Promise<AdapterPlan> {
  const gguf = await headerOf(randomAdapter({ ...model, ...of } as RandomModelOptions, { ...sound, ...own }));
  return planAdapter(gguf, 'arctic', await planned);
}

const named = (pattern: RegExp, change: (tensor: TensorInput) => TensorInput[]) => (tensors: TensorInput[]) =>
  tensors.flatMap((tensor) => (pattern.test(tensor.name) ? change(tensor) : [tensor]));
const row = (name: string): TensorInput => ({ name, shape: [4, 64], type: 'F32', data: new Float32Array(256) });

describe('an adapter of this model', () => {
  it('has a record for each tensor, and of experts one for each', async () => {
    const { pairs, records } = await plan({});
    const byName = new Map(pairs.map((pair) => [pair.tensor, pair]));
    expect(byName.get('blk.1.attn_q.weight')).toMatchObject({
      rank: 4,
      scale: 1.5,
      target: { kind: 'dense', nRows: 64 },
    });
    expect(byName.get('blk.0.ffn_gate_exps.weight')!.records).toHaveLength(8);
    expect(byName.get('token_embd.weight')!.target.kind).toBe('embedding');
    // Embedding, output, and in each of two layers attention's 4, the MLP's 3, the router, the experts' 3.
    expect(pairs).toHaveLength(2 + 2 * 11);
    expect(records).toHaveLength(2 + 2 * (8 + 3 * 8));
  });

  it('is scaled by its rank where it names an alpha, and by nothing where it does not', async () => {
    expect((await plan({ alpha: 8 })).pairs[0]!.scale).toBe(2);
    expect((await plan({ alpha: 0 })).pairs[0]!.scale).toBe(1);
  });

  it('may change a few tensors only', async () => {
    expect((await plan({ only: /blk\.1\.attn_v/ })).pairs.map(({ tensor }) => tensor)).toEqual(['blk.1.attn_v.weight']);
  });
});

describe('model/adapter', () => {
  const { architecture: _, ...llama } = model;
  it.each<{ what: string; own: Partial<RandomAdapterOptions>; of?: Partial<RandomModelOptions>; says: RegExp }>([
    {
      what: 'an adapter of another architecture',
      own: {},
      of: { ...llama, architecture: 'llama' },
      says: /of a llama, the model is a arctic/,
    },
    {
      what: 'one of a wider model',
      own: {},
      of: { modelDim: 128 },
      says: /token_embd.weight.lora_b is \[128,4\].*would be \[64,4\]/,
    },
    {
      what: 'one of a model of more experts',
      own: { only: /_exps/ },
      of: { nExperts: 16 },
      says: /ffn_gate_exps.weight.lora_a is \[16,4,64\]/,
    },
    {
      what: 'one of a deeper model',
      own: { only: /blk/ },
      of: { nLayers: 3 },
      says: /blk\.2\.attn_q.weight, which is no matrix of this model/,
    },
    {
      what: 'A without B',
      own: { edit: named(/blk\.0\.attn_k.*lora_b/, () => []) },
      says: /blk.0.attn_k.weight.lora_a is there, .*lora_b is not/,
    },
    {
      what: 'B without A',
      own: { edit: named(/blk\.0\.attn_k.*lora_a/, () => []) },
      says: /lora_b is there, .*lora_a is not/,
    },
    {
      what: 'halves of two ranks',
      own: {
        edit: named(/blk\.0\.attn_k.*lora_a/, () =>
          [row('blk.0.attn_k.weight.lora_a')].map((t) => ({ ...t, shape: [2, 128] })),
        ),
      },
      says: /attn_k.weight.lora_a is \[2,128\].*\[4,64\]/,
    },
    {
      what: 'a tensor that is no half',
      own: { edit: (all) => [...all, row('blk.0.attn_norm.weight')] },
      says: /blk.0.attn_norm.weight, which is no half/,
    },
    {
      what: 'a pair for a norm',
      own: { edit: (all) => [...all, row('blk.0.attn_norm.weight.lora_a'), row('blk.0.attn_norm.weight.lora_b')] },
      says: /attn_norm.weight, which is no matrix/,
    },
    { what: 'a file without tensors', own: { edit: () => [] }, says: /no tensors/ },
    { what: 'a model', own: { metadata: { 'general.type': 'model' } }, says: /The file is a model, no adapter/ },
    { what: 'a control vector', own: { metadata: { 'adapter.type': 'control' } }, says: /of type control/ },
    {
      what: 'one that acts behind certain tokens',
      own: { metadata: { 'adapter.alora.invocation_tokens': Uint32Array.of(5) } },
      says: /certain tokens only/,
    },
  ])('refuses $what', async ({ own, of, says }) => {
    const error = await plan(own, of).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FloeError);
    expect(error).toMatchObject({ code: 'model/adapter', message: expect.stringMatching(says) });
    expect((error as FloeError).remedy).not.toBe('');
  });

  it('refuses a pair for the output where the embedding serves as one, and takes it where not', async () => {
    const untied = { ...model, architecture: 'llama', nExperts: 0 } as const;
    const bytes = randomAdapter(untied, { ...sound, only: /^output/ });
    const on = async (tied: boolean) =>
      planAdapter(await headerOf(bytes), 'llama', planModel(await headerOf(randomModel({ ...untied, tied }))));
    await expect(on(true)).rejects.toMatchObject({
      code: 'model/adapter',
      message: expect.stringMatching(/output.weight, which is no matrix of this model/),
    });
    expect((await on(false)).pairs).toHaveLength(1);
  });

  it('refuses an adapter where a model is wanted', async () => {
    const bytes = randomAdapter(model, sound);
    const gguf = await headerOf(bytes);
    expect(() => planModel(gguf)).toThrow(expect.objectContaining({ code: 'model/adapter' }));
  });
});
