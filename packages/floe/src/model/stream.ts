import type { BufferView } from '../gpu/index.ts';
import { addBias, addBranch, denseStage } from '../kernels/index.ts';
import { linear } from './linear.ts';
import { norm } from './norm.ts';
import type { PlacedMatrix } from './placeLayer.ts';
import type { LayerStep } from './step.ts';
import type { Linear, Norm } from './weights.ts';

/** What happens to a branch before it is added. */
export interface Branch {
  readonly after: Norm<BufferView> | null;
  /** Of the stream with the branch in it. */
  readonly sum: Norm<BufferView> | null;
  /** [T, 1] whose sigmoid it is multiplied by. */
  readonly gate?: BufferView | null;
}

/**
 * x += residualScale · sigmoid(gate) · after(W · input + b), and then x = sum(x) where the model has that norm; in one
 * dispatch where there is no more than x += W · input.
 */
export function addToStream(
  step: LayerStep,
  input: BufferView,
  { weight, bias }: Linear<PlacedMatrix, BufferView>,
  { after, sum, gate = null }: Branch,
): void {
  const { rec, model, s, nTokens, routedLayer } = step;
  const { shape, description } = model.plan;
  const { modelDim } = shape;
  const scale = description.residualScale;
  const stage = denseStage(routedLayer);
  const at = { nTokens, stage };
  const isPlain = !after && !sum && !gate && scale === 1;
  const y = isPlain ? s.x : s.branch!;
  linear({ ...step, stage }, { x: input, w: weight, y, output: isPlain ? 'add' : 'store' }); // [T, modelDim]
  if (bias) addBias(rec, { values: bias, rowDim: modelDim }, { ...at, y, dim: modelDim });
  if (isPlain) return;
  if (after) norm({ ...step, stage }, y, after, s.h);
  const branch = after ? s.h : y;
  if (!sum) {
    addBranch(rec, { ...at, branch, x: s.x, modelDim, scale, gate });
    return;
  }
  // No dispatch reads and writes one buffer: the sum is made where the branch is, and its norm is the stream.
  addBranch(rec, { ...at, branch: s.x, x: branch, modelDim, scale: 1, gate: null });
  norm({ ...step, stage }, branch, sum, s.x);
}
