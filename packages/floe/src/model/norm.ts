import type { BufferView, Recorder } from '../gpu/index.ts';
import { rmsNorm } from '../kernels/index.ts';
import type { PlacedModel } from './place.ts';

/** y[T, modelDim] = the model's kind of norm of x. */
export function norm(
  { rec, model, nTokens, stage }: { rec: Recorder; model: PlacedModel; nTokens: number; stage: number },
  x: BufferView,
  weight: BufferView,
  y: BufferView,
): void {
  const { modelDim, normEps: eps } = model.plan.shape;
  rmsNorm(rec, { x, weight, y, nTokens, modelDim, eps, stage });
}
