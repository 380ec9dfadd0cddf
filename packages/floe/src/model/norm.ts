import type { BufferView } from '../gpu/index.ts';
import { layerNorm, rmsNorm } from '../kernels/index.ts';
import type { Staged } from './step.ts';
import type { Norm } from './weights.ts';

/** The norm of x, in y; x itself where there is none. */
export function normed(at: Staged, x: BufferView, w: Norm<BufferView> | null, y: BufferView): BufferView {
  if (!w) return x;
  norm(at, x, w, y);
  return y;
}

/** y[T, modelDim] = the model's kind of norm of x. */
export function norm(
  { rec, model, nTokens, stage }: Staged,
  x: BufferView,
  { weight, bias }: Norm<BufferView>,
  y: BufferView,
): void {
  const { shape, description } = model.plan;
  const args = { x, weight, y, nTokens, modelDim: shape.modelDim, eps: shape.normEps, stage };
  if (description.norm === 'rms') rmsNorm(rec, args);
  else layerNorm(rec, { ...args, bias });
}
