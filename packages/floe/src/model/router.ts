import type { BufferView } from '../gpu/index.ts';
import { addBias, route } from '../kernels/index.ts';
import { rowStride } from '../quant/index.ts';
import { linear } from './linear.ts';
import type { PlacedLayer } from './placeLayer.ts';
import type { Routing, Staged } from './step.ts';

export interface RouterArgs extends Routing {
  /** [T, modelDim] what is routed. */
  readonly x: BufferView;
  /** [T, nExperts], written on the way. */
  readonly logits: BufferView;
  /** Of those with experts. */
  readonly layer: number;
}

/** Chooses experts of layer `w` for `x`; its last dispatch is the choice. */
export function routeTokens(step: Staged, w: PlacedLayer, args: RouterArgs): void {
  const { rec, model, nTokens, stage } = step;
  const { x, logits, ...to } = args;
  const { nExperts } = model.plan.shape;
  const { gateInp, selectionBias } = w.experts!;
  linear(step, { x, w: gateInp.weight, y: logits }); // [T, nExperts]
  if (gateInp.bias)
    addBias(rec, { values: gateInp.bias, rowDim: nExperts }, { y: logits, nTokens, dim: nExperts, stage });
  const { gating: kind, renormalise, groups } = w.description.experts!.router;
  const gating = { kind, renormalise, groups, bias: selectionBias };
  route(rec, { ...to, logits, logitStride: rowStride(nExperts), nTokens, gating }); // [T, k]
}
