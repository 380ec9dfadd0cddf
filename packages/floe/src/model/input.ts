import type { Recorder } from '../gpu/index.ts';
import { addBias, addBranch, denseStage, embed } from '../kernels/index.ts';
import type { Activations } from './activations.ts';
import { addEmbeddings } from './linear.ts';
import { norm } from './norm.ts';
import type { PlacedModel } from './place.ts';

/** x = norm(scale · embedding[tokens] + rows of their positions + the first type's), of which most models have the first only. */
export function recordInput(rec: Recorder, model: PlacedModel, s: Activations, nTokens: number): void {
  const { description, shape } = model.plan;
  const { positions, types, norm: sum } = model.input;
  const { modelDim } = shape;
  const at = { nTokens, stage: denseStage(0) };
  // A norm reads and writes different buffers.
  const x = sum ? s.branch! : s.x;
  embed(rec, { tokens: s.tokens, w: model.tokenEmbd, x, nTokens, scale: description.embeddingScale }); // [T, modelDim]
  addEmbeddings({ rec, model, s, ...at }, x, description.embeddingScale);
  if (positions) {
    embed(rec, { tokens: s.positions!, w: positions, x: s.h, nTokens }); // [T, modelDim]
    addBranch(rec, { ...at, branch: s.h, x, modelDim, scale: 1, gate: null });
  }
  if (types) addBias(rec, { values: types, rowDim: modelDim }, { ...at, y: x, dim: modelDim });
  if (sum) norm({ rec, model, s, ...at }, x, sum, s.x); // [T, modelDim]
}
