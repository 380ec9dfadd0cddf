/** What a file of BERT must have to be planned, and what it may leave out: nothing is read but its header. */
import { type GgufInput, type TensorInput, writeGguf } from '@floe/testkit/ggufWriter';
import { randomGguf } from '@floe/testkit/randomModel';
import { describe, expect, it } from 'vitest';
import { readGguf } from '../gguf/index.ts';
import { type ModelPlan, planModel } from './plan.ts';

const dims = { nLayers: 1, modelDim: 32, nHeads: 2, nKvHeads: 2, ffDim: 64, nVocab: 300, nCtxTrain: 16, seed: 1 };
const sound = randomGguf({ ...dims, architecture: 'bert', type: 'F32' });

async function planOf({ metadata, tensors }: GgufInput): Promise<ModelPlan> {
  const bytes = writeGguf({ metadata, tensors });
  const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  return planModel(await readGguf({ sizeBytes: bytes.length, read }));
}

const saying = (key: string, value: GgufInput['metadata'][string]): GgufInput => ({
  ...sound,
  metadata: { ...sound.metadata, [key]: value },
});
const without = (name: string): GgufInput => ({
  ...sound,
  metadata: Object.fromEntries(Object.entries(sound.metadata).filter(([key]) => key !== name)),
  tensors: sound.tensors.filter((tensor) => tensor.name !== name),
});
const cut = (name: string, shape: readonly number[]): GgufInput => ({
  ...sound,
  tensors: sound.tensors.map((tensor): TensorInput => {
    if (tensor.name !== name) return tensor;
    return {
      ...tensor,
      shape,
      data: tensor.data.slice(
        0,
        shape.reduce((n, dim) => n * dim, 1),
      ),
    };
  }),
});
const extra: TensorInput = { name: 'cls.weight', shape: [32, 32], type: 'F32', data: new Float32Array(32 * 32) };

describe('a file of bert', () => {
  it.each([
    ['a pooling that ggml has no number for', saying('bert.pooling_type', 5), 'gguf/invalid'],
    ['no pooling, of tokens that see ahead', without('bert.pooling_type'), 'model/unsupported-architecture'],
    ['a score in place of a vector', saying('bert.pooling_type', 4), 'model/unsupported-architecture'],
    ['no epsilon', without('bert.attention.layer_norm_epsilon'), 'gguf/invalid'],
    ['no rows of positions', without('position_embd.weight'), 'model/missing-tensor'],
    ['fewer positions than it says', cut('position_embd.weight', [15, 32]), 'model/shape'],
    ['a norm without a bias', without('blk.0.layer_output_norm.bias'), 'model/missing-tensor'],
    ['an MLP without a bias', without('blk.0.ffn_up.bias'), 'model/missing-tensor'],
    ['types of another width', cut('token_types.weight', [2, 31]), 'model/shape'],
    ['a head that makes a score', { ...sound, tensors: [...sound.tensors, extra] }, 'model/shape'],
  ])('is refused with %s', async (_, gguf, code) => {
    await expect(planOf(gguf)).rejects.toMatchObject({ code });
  });

  it.each([
    ['as it is', sound],
    ['with one type', cut('token_types.weight', [1, 32])],
    ['with one type, whose dimension the writer left out', cut('token_types.weight', [32])],
  ])('is planned %s, of whose types the first is taken', async (_, gguf) => {
    const { input, description } = await planOf(gguf);
    expect(description.pooling).toBe('mean');
    expect(input.positions?.matrices[0]).toMatchObject({ nRows: 16, rowElements: 32 });
    const sources = [expect.objectContaining({ sizeBytes: 32 * 4 })];
    expect(input.types?.matrices[0]).toMatchObject({ nRows: 1, rowElements: 32, sources });
  });

  it('is planned without types', async () => {
    expect((await planOf(without('token_types.weight'))).input.types).toBeNull();
  });
});
