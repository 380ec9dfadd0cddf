/** The forward pass, top to bottom: what a step dispatches, in order. T is the number of tokens of the step. */
import type { Recorder } from '../gpu/index.ts';
import {
  attention,
  combine,
  denseStage,
  embed,
  expertMatmul,
  expertStage,
  groupByExpert,
  matmul,
  rmsNorm,
  ropeAppend,
  route,
} from '../kernels/index.ts';
import type { KvCache } from '../kv/index.ts';
import { rowStride } from '../quant/index.ts';
import type { Activations } from './activations.ts';
import type { PlacedLayer, PlacedModel } from './place.ts';

/** Of which tokens the logits are wanted: none (a chunk in the middle of a prompt), the last, or all. */
export type WantedLogits = 'none' | 'last' | 'all';

/** A layer's walk over its kernels: everything a block function needs, by name. */
interface LayerStep {
  readonly rec: Recorder;
  readonly model: PlacedModel;
  readonly layer: number;
  readonly w: PlacedLayer;
  readonly kv: KvCache;
  readonly s: Activations;
  readonly nTokens: number;
}

/** Records one step: `s.tokens` in, `s.logits` out, keys and values appended to `kv`. */
export function recordStep(
  rec: Recorder,
  model: PlacedModel,
  kv: KvCache,
  s: Activations,
  nTokens: number,
  wanted: WantedLogits,
): void {
  embed(rec, { tokens: s.tokens, w: model.tokenEmbd, x: s.x, nTokens }); // [T, modelDim]
  const block = blocks[model.plan.feedForward];
  for (const [layer, w] of model.layers.entries()) block({ rec, model, layer, w, kv, s, nTokens });
  if (wanted === 'none') return;

  // Behind the last layer's experts: its stage is that of a layer more.
  const stage = denseStage(model.layers.length);
  norm(rec, model, s.x, model.outputNorm, s.h, nTokens, stage); // [T, modelDim]
  const rows = wanted === 'all' ? { nTokens } : { nTokens: 1, firstRow: nTokens - 1 };
  matmul(rec, { x: s.h, w: model.output, y: s.logits, ...rows, stage }); // [T or 1, nVocab]
}

/** One function for each kind of block; the choice is made once, for all layers. */
const blocks = {
  /** x += attention(x); x += mlp(x). */
  dense(step: LayerStep): void {
    attend(step);
    mlp(step);
  },

  /** x += attention(x); x += experts(x). */
  experts(step: LayerStep): void {
    const { rec, model, layer, w, s, nTokens } = step;
    attend(step);
    norm(rec, model, s.x, w.ffnNorm, s.expertIn, nTokens, denseStage(layer)); // [T, modelDim]
    routeTokens(step);
    runExperts(step);
  },

  /** x += attention(x); x += mlp(x) + experts(x as it came in). */
  denseBesideExperts(step: LayerStep): void {
    const { rec, model, layer, w, s, nTokens } = step;
    // Routed first, from the layer's input: an absent expert loads while attention and the MLP run.
    norm(rec, model, s.x, w.experts!.norm!, s.expertIn, nTokens, denseStage(layer)); // [T, modelDim]
    routeTokens(step);
    attend(step);
    mlp(step);
    runExperts(step);
  },
};

/** x += Wo · attention(norm(x)). */
function attend({ rec, model, layer, w, kv, s, nTokens }: LayerStep): void {
  const { shape, architecture } = model.plan;
  const stage = denseStage(layer);
  const common = { shape, qStride: rowStride(shape.nHeads * shape.headDim), nCacheSlots: kv.nSlots, nTokens, stage };
  norm(rec, model, s.x, w.attnNorm, s.h, nTokens, stage); // [T, modelDim]
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
    pairs: architecture.rope,
    ropeDim: shape.ropeDim,
    qkvStride: s.qkvStride,
  });
  attention(rec, { ...common, ...kv.at(layer), q: s.q, nKeys: s.nKeys, y: s.attn }); // [T, nHeads, headDim]
  matmul(rec, { x: s.attn, w: w.attnOutput, y: s.x, output: 'add', nTokens, stage }); // [T, modelDim]
}

/** x += Wdown · swiglu(norm(x)). */
function mlp({ rec, model, layer, w, s, nTokens }: LayerStep): void {
  const stage = denseStage(layer);
  norm(rec, model, s.x, w.ffnNorm, s.h, nTokens, stage); // [T, modelDim]
  matmul(rec, { x: s.h, w: w.dense!.gateUp, y: s.ff, output: 'swiglu', nTokens, stage }); // [T, ffDim]
  matmul(rec, { x: s.ff, w: w.dense!.down, y: s.x, output: 'add', nTokens, stage }); // [T, modelDim]
}

/** Chooses experts from `s.expertIn` and looks their slots up. */
function routeTokens({ rec, model, layer, w, s, nTokens }: LayerStep): void {
  const { nExperts } = model.plan.shape;
  const stage = denseStage(layer);
  matmul(rec, { x: s.expertIn, w: w.experts!.gateInp, y: s.routerLogits, nTokens, stage }); // [T, nExperts]
  route(rec, {
    logits: s.routerLogits,
    logitStride: rowStride(nExperts),
    pageTable: { buffer: model.slots!.pageTable, offset: 0, sizeBytes: model.slots!.pageTable.size },
    route: s.route!, // [T, nExpertsUsed]
    fault: s.fault,
    layer,
    nTokens,
  });
  if (nTokens > 1) groupByExpert(rec, { route: s.route!, nTokens, stage: expertStage(layer) });
}

/** x += Σ weight · expert(s.expertIn). */
function runExperts({ rec, model, layer, w, s, nTokens }: LayerStep): void {
  const { gateUp, down } = w.experts!;
  const r = s.route!;
  const stage = expertStage(layer);
  const common = { route: r, nTokens, stage };
  expertMatmul(rec, { ...common, x: s.expertIn, w: gateUp, y: s.expertH, sharedInput: true, output: 'swiglu' }); // [T · k, expertDim]
  expertMatmul(rec, { ...common, x: s.expertH, w: down, y: s.expertOut, sharedInput: false }); // [T · k, modelDim]
  combine(rec, { outputs: s.expertOut, route: r, y: s.x, nTokens, modelDim: model.plan.shape.modelDim, stage }); // [T, modelDim]
}

function norm(
  rec: Recorder,
  model: PlacedModel,
  x: Activations['x'],
  weight: Activations['x'],
  y: Activations['x'],
  nTokens: number,
  stage: number,
): void {
  const { modelDim, normEps: eps } = model.plan.shape;
  rmsNorm(rec, { x, weight, y, nTokens, modelDim, eps, stage });
}
