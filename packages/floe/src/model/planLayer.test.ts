/** A layer's records, where its tensors are of several formats. */
import { type TensorInput, writeGguf } from '@floe/testkit/ggufWriter';
import { type RandomModelOptions, randomGguf } from '@floe/testkit/randomModel';
import { expect, it } from 'vitest';
import { readGguf } from '../gguf/index.ts';
import { type ModelPlan, planModel } from './plan.ts';

const arctic: RandomModelOptions = {
  ...{ architecture: 'arctic', nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, type: 'Q8_0', seed: 1 },
  ...{ expertDim: 96, nExperts: 8, nExpertsUsed: 2 },
};
async function planOf(
  options: RandomModelOptions,
  edit: (tensor: TensorInput) => TensorInput = (tensor) => tensor,
): Promise<ModelPlan> {
  const { metadata, tensors } = randomGguf(options);
  const bytes = writeGguf({ metadata, tensors: tensors.map(edit) });
  return planModel(await readGguf({ sizeBytes: bytes.length, read: async (at, n) => bytes.subarray(at, at + n) }));
}

it("a layer's experts that are tensors of their own, of two formats, are refused", async () => {
  const odd = 'blk.1.ffn_down.3.weight';
  const plan = planOf({ ...arctic, architecture: 'llama', expertsApart: true }, (tensor) =>
    tensor.name === odd ? { ...tensor, type: 'Q4_0' } : tensor,
  );
  await expect(plan).rejects.toMatchObject({
    code: 'model/shape',
    details: { tensor: odd, found: 'Q4_0', expected: 'Q8_0' },
  });
});
