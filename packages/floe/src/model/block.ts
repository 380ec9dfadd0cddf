/** One layer's walk over its kernels. Which of these parts it has, its weights say: none of them asks for a name. */
import type { BufferView, Recorder } from '../gpu/index.ts';
import { attention, denseStage, matmul, type PagedSlots, type Route, ropeAppend, route } from '../kernels/index.ts';
import type { KvCache } from '../kv/index.ts';
import { rowStride } from '../quant/index.ts';
import type { Activations } from './activations.ts';
import { norm } from './norm.ts';
import type { PlacedLayer, PlacedModel } from './place.ts';

/** Everything a layer's parts need, by name. */
export interface LayerStep {
  readonly rec: Recorder;
  readonly model: PlacedModel;
  /** Its place among all layers, and how many with experts come before it: what routes, slots and stages count by. */
  readonly layer: number;
  readonly routedLayer: number;
  readonly w: PlacedLayer;
  readonly kv: KvCache;
  readonly s: Activations;
  readonly nTokens: number;
  /** Where routes go, and where slots are looked up; null without experts. */
  readonly routing: { readonly route: Route; readonly slots: PagedSlots | 'later' } | null;
}

/**
 * Up to the choice of experts, which is the last dispatch: x += attention(x), then a norm of x; or, where experts read
 * the layer's input, a norm of that alone, so that an absent one loads while attention and the MLP run.
 */
export function chooseExperts(step: LayerStep): void {
  const { w, s } = step;
  const early = w.experts!.norm;
  if (!early) attend(step);
  norm(staged(step), s.x, early ?? w.ffnNorm, s.expertIn); // [T, modelDim]
  routeTokens(step);
}

/** What of the layer needs no experts and was not there yet: x += attention(x), x += mlp(x). */
export function restOfLayer(step: LayerStep): void {
  const { w, s } = step;
  // What experts were chosen from, if they read what attention left, is what the MLP reads too.
  const isAttended = w.experts !== null && w.experts.norm === null;
  if (!isAttended) attend(step);
  if (!w.mlp) return;
  if (!isAttended) norm(staged(step), s.x, w.ffnNorm, s.h); // [T, modelDim]
  mlp(step, isAttended ? s.expertIn : s.h);
}

/** x += Wo · attention(norm(x)). */
function attend(step: LayerStep): void {
  const { rec, model, layer, w, kv, s, nTokens } = step;
  const { shape, description } = model.plan;
  const stage = denseStage(step.routedLayer);
  const common = { shape, qStride: rowStride(shape.nHeads * shape.headDim), nCacheSlots: kv.nSlots, nTokens, stage };
  norm(staged(step), s.x, w.attnNorm, s.h); // [T, modelDim]
  let yOffset = 0;
  for (const part of w.attnQkv) {
    matmul(rec, { x: s.h, w: part, y: s.qkv, nTokens, yStride: s.qkvStride, yOffset, stage }); // [T, q | k | v]
    yOffset += part.nRows;
  }
  ropeAppend(rec, {
    ...common,
    ...kv.at(layer),
    qkv: s.qkv,
    angles: s.angles,
    cacheSlots: s.cacheSlots,
    q: s.q, // [T, nHeads, headDim]
    pairs: description.rope.pairs,
    ropeDim: shape.ropeDim,
    qkvStride: s.qkvStride,
  });
  const { scale } = description.attention;
  attention(rec, { ...common, ...kv.at(layer), q: s.q, nKeys: s.nKeys, y: s.attn, scale }); // [T, nHeads, headDim]
  matmul(rec, { x: s.attn, w: w.attnOutput, y: s.x, output: 'add', nTokens, stage }); // [T, modelDim]
}

/** x += Wdown · swiglu(h). */
function mlp({ rec, routedLayer, w, s, nTokens }: LayerStep, h: BufferView): void {
  const stage = denseStage(routedLayer);
  matmul(rec, { x: h, w: w.mlp!.gateUp, y: s.ff, output: 'swiglu', nTokens, stage }); // [T, ffDim]
  matmul(rec, { x: s.ff, w: w.mlp!.down, y: s.x, output: 'add', nTokens, stage }); // [T, modelDim]
}

/** Chooses experts from `s.expertIn`. */
function routeTokens({ rec, model, routedLayer, w, s, nTokens, routing }: LayerStep): void {
  const { nExperts } = model.plan.shape;
  const stage = denseStage(routedLayer);
  matmul(rec, { x: s.expertIn, w: w.experts!.gateInp, y: s.routerLogits, nTokens, stage }); // [T, nExperts]
  const logitStride = rowStride(nExperts);
  route(rec, { ...routing!, logits: s.routerLogits, logitStride, layer: routedLayer, nTokens }); // [T, k]
}

function staged(step: LayerStep) {
  return { ...step, stage: denseStage(step.routedLayer) };
}
