/** Gate and up of a layer in two formats: what is planned for them, and for no other layer. */
import { type TensorInput, writeGguf } from '@floe/testkit/ggufWriter';
import { type RandomModelOptions, randomGguf } from '@floe/testkit/randomModel';
import { describe, expect, it } from 'vitest';
import { readGguf } from '../gguf/index.ts';
import { activationBytes } from './activations.ts';
import { planMemory, stepSizes } from './budget.ts';
import { type ModelPlan, planModel } from './plan.ts';

const arctic: RandomModelOptions = {
  ...{ architecture: 'arctic', nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, type: 'Q8_0', seed: 1 },
  ...{ expertDim: 96, nExperts: 8, nExpertsUsed: 2 },
};
const upApart = { 'blk.0.ffn_up': 'Q4_0', 'blk.0.ffn_up_exps': 'Q4_0' } as const;

async function planOf(
  options: RandomModelOptions,
  edit: (tensor: TensorInput) => TensorInput = (tensor) => tensor,
): Promise<ModelPlan> {
  const { metadata, tensors } = randomGguf(options);
  const bytes = writeGguf({ metadata, tensors: tensors.map(edit) });
  return planModel(await readGguf({ sizeBytes: bytes.length, read: async (at, n) => bytes.subarray(at, at + n) }));
}

describe('gate and up', () => {
  it('are one matrix where they are of one format, and two where not', async () => {
    const { layers } = await planOf({ ...arctic, types: upApart });
    const formats = layers.map(({ mlp, experts }) =>
      [mlp!.up.weight, experts!.records[7]!].map(({ matrices }) => matrices.map(({ format }) => format)),
    );
    expect(formats).toEqual([
      [
        ['Q8_0', 'Q4_0'],
        ['Q8_0', 'Q4_0', 'Q8_0'],
      ],
      [['Q8_0'], ['Q8_0', 'Q8_0']],
    ]);
  });

  it('take memory for both products only where they are apart', async () => {
    const plans = [await planOf(arctic), await planOf({ ...arctic, types: upApart })] as const;
    const [together, apart] = plans.map((plan) => activationBytes(plan, stepSizes(plan, 64))) as [object, object];
    // 64 tokens of 2 · 64 values; and for each of their 2 experts, 2 · 96.
    expect(apart).toEqual({ ...together, ffGateUp: 64 * 128 * 4, expertGateUp: 64 * 2 * 192 * 4 });
    const other = plans.map((plan) => planMemory(plan, 64, 'all').otherBytes) as [number, number];
    expect(other[1]).toBeGreaterThan(other[0]);
  });

  it.each([
    { what: 'Mixtral 8x7B', nExpertsUsed: 2, modelDim: 4096, expertDim: 14_336 },
    { what: 'gpt-oss-20b', nExpertsUsed: 4, modelDim: 2880, expertDim: 2880 },
    { what: 'Arctic', nExpertsUsed: 2, modelDim: 7168, expertDim: 4864 },
  ])('of the experts of a long prompt can be bound on every device: $what', async ({ what: _, ...sizes }) => {
    const plan = await planOf({ ...arctic, types: upApart });
    const large = { ...plan, shape: { ...plan.shape, ...sizes } };
    const { expertGateUp } = activationBytes(large, stepSizes(large, 32_768));
    expect(expertGateUp).toBeGreaterThan(16 << 20);
    expect(expertGateUp).toBeLessThanOrEqual(128 << 20);
  });
});

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
