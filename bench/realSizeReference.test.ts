/** The forward pass by rows is the one of `referenceModel()`, which needs the whole file. */
import { referenceModel } from '@floe/testkit/referenceModel';
import { virtualModel } from '@floe/testkit/virtualModel';
import { expect, it } from 'vitest';
import { referenceLogits } from './realSizeReference.ts';

it('gives the logits of the float64 reference for a small file that can be had whole', () => {
  const model = virtualModel({
    nLayers: 2,
    shape: { modelDim: 256, nHeads: 8, nKvHeads: 2, expertDim: 160, nExperts: 16 },
  });
  const ids = [5, 77, 200, 31, 9];
  const expected = referenceModel(model.bytesAt(0, model.sizeBytes)).forward(ids).logits;
  const found = referenceLogits(model, ids);
  const distance = expected.flatMap((row, t) => Array.from(row, (logit, i) => Math.abs(logit - found[t]![i]!)));
  expect(distance).toHaveLength(5 * 320);
  // Sums of 256 doubles, some in another order.
  expect(Math.max(...distance)).toBeLessThan(1e-9);
  // Control: the prompt decides.
  expect(referenceLogits(model, [...ids.slice(0, 4), 10]).at(-1)).not.toEqual(found.at(-1));
});
