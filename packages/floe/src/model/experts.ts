/** A layer's experts: what each chosen one says, and what is added of it. */
import type { BufferView, Recorder } from '../gpu/index.ts';
import { combine, denseStage, expertMatmul, matmul, type Route, route } from '../kernels/index.ts';
import { rowStride } from '../quant/index.ts';
import type { Activations } from './activations.ts';
import type { LayerStep } from './block.ts';
import { norm } from './norm.ts';
import type { PlacedLayer, PlacedModel } from './place.ts';
import { routedLayers } from './plan.ts';

export interface ExpertStep {
  readonly rec: Recorder;
  readonly model: PlacedModel;
  readonly s: Activations;
  readonly w: PlacedLayer;
  readonly route: Route;
  readonly nTokens: number;
  readonly stage: number;
}

/** Of each token, what each of its experts says, by rank: those whose slot is known, the others are left as they were. */
export function multiplyExperts(step: ExpertStep & { readonly expertIn: BufferView }): void {
  const { rec, s, w, route, nTokens, stage, expertIn } = step;
  const { gateUp, down } = w.experts!;
  const { expertH, expertOut } = s.experts!.span;
  const common = { route, nTokens, stage };
  expertMatmul(rec, { ...common, x: expertIn, w: gateUp, y: expertH, sharedInput: true, output: 'swiglu' }); // [T · k, expertDim]
  expertMatmul(rec, { ...common, x: expertH, w: down, y: expertOut, sharedInput: false }); // [T · k, modelDim]
}

/** x += Σ weight · expert. */
export function combineExperts(step: ExpertStep & { readonly x: BufferView }): void {
  const { rec, model, s, route, nTokens, stage, x } = step;
  const { modelDim } = model.plan.shape;
  combine(rec, { outputs: s.experts!.span.expertOut, route, y: x, nTokens, modelDim, stage }); // [T, modelDim]
}

/** A later layer's router on the residual stream as it is now: what it will choose, if not too much is added till then. */
export function guessRoutes({ rec, model, routedLayer, s, nTokens }: LayerStep, ahead: number): void {
  const w = routedLayers(model.layers)[routedLayer + ahead];
  if (!w) return;
  const stage = denseStage(routedLayer);
  const { guessRoutes, guessLogits } = s.experts!;
  norm({ rec, model, nTokens, stage }, s.x, w.experts.norm ?? w.ffnNorm, s.h); // [1, modelDim]
  matmul(rec, { x: s.h, w: w.experts.gateInp, y: guessLogits, nTokens, stage }); // [1, nExperts]
  const logitStride = rowStride(model.plan.shape.nExperts);
  const to = { route: guessRoutes[routedLayer]!, slots: 'later', layer: routedLayer } as const;
  route(rec, { ...to, logits: guessLogits, logitStride, nTokens }); // [1, k]
}
