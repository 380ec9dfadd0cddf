/** The forward pass, top to bottom: what a step dispatches, in order. T is the number of tokens of the step. */
import type { BufferView, Recorder } from '../gpu/index.ts';
import {
  attention,
  combine,
  denseStage,
  embed,
  expertMatmul,
  expertStage,
  groupByExpert,
  lookup,
  matmul,
  type PagedSlots,
  type Route,
  rmsNorm,
  ropeAppend,
  route,
} from '../kernels/index.ts';
import type { KvCache } from '../kv/index.ts';
import { rowStride } from '../quant/index.ts';
import type { Activations } from './activations.ts';
import type { PlacedLayer, PlacedModel } from './place.ts';

/** A layer's walk over its kernels: everything a block's parts need, by name. */
interface LayerStep {
  readonly rec: Recorder;
  readonly model: PlacedModel;
  readonly layer: number;
  readonly w: PlacedLayer;
  readonly kv: KvCache;
  readonly s: Activations;
  readonly nTokens: number;
  /** Where routes go, and where slots are looked up; null without experts. */
  readonly routing: { readonly route: Route; readonly slots: PagedSlots | 'later' } | null;
}

/** Where a recorded decode step may be cut, in dispatches. */
export interface StepCuts {
  /** Of each layer; empty where there are no experts. */
  readonly layers: readonly LayerCuts[];
  readonly end: number;
}

export interface LayerCuts {
  /** The dispatch that looks the layer's experts up: run once more when an absent one has come. */
  readonly route: number;
  /** Up to here the layer's experts are known. */
  readonly routed: number;
  /** From here on they are needed. */
  readonly experts: number;
}

/**
 * Records the decoding of one token: `s.tokens` in, `s.logits` out, a key and a value appended to `kv`. With
 * `guessAhead`, each layer's routing also guesses that of the layer so many later.
 */
export function recordDecode(rec: Recorder, model: PlacedModel, kv: KvCache, s: Activations, guessAhead = 0): StepCuts {
  const nTokens = 1;
  const pageTable = model.slots?.pageTable;
  const block = blocks[model.plan.feedForward];
  const layers: LayerCuts[] = [];
  embed(rec, { tokens: s.tokens, w: model.tokenEmbd, x: s.x, nTokens }); // [1, modelDim]
  for (const [layer, w] of model.layers.entries()) {
    const routing = pageTable && { route: s.experts!.stepRoutes[layer]!, slots: { pageTable, fault: s.fault } };
    const step: LayerStep = { rec, model, layer, w, kv, s, nTokens, routing: routing ?? null };
    block.gate(step);
    const route = rec.nRecorded - 1;
    if (routing && guessAhead > 0) guessRoutes(step, layer + guessAhead);
    const routed = rec.nRecorded;
    block.rest(step);
    if (!routing) continue;
    layers.push({ route, routed, experts: rec.nRecorded });
    const { expertIn, x } = s;
    runExperts(step, { route: routing.route, expertIn, x });
  }
  recordHead(rec, model, s, s.x, 1);
  return { layers, end: rec.nRecorded };
}

/**
 * Records a chunk of a prompt, all of each layer but its experts: from `s.tokens` in the first, from `s.x` in the others.
 * The layers' borders: layer l is dispatches [l] to [l + 1].
 */
export function recordChunk(
  rec: Recorder,
  model: PlacedModel,
  kv: KvCache,
  s: Activations,
  nTokens: number,
): readonly number[] {
  const block = blocks[model.plan.feedForward];
  const borders = [0];
  embed(rec, { tokens: s.tokens, w: model.tokenEmbd, x: s.x, nTokens }); // [T, modelDim]
  for (const [layer, w] of model.layers.entries()) {
    const routing = s.experts && { route: s.experts.chunkRoute, slots: 'later' as const };
    const step: LayerStep = { rec, model, layer, w, kv, s, nTokens, routing };
    block.gate(step);
    block.rest(step);
    borders.push(rec.nRecorded);
  }
  return borders;
}

/** Where a span's experts of one layer lie among the dispatches: once `group`, `wave` for each wave, once `combine`. */
export interface SpanCuts {
  readonly group: number;
  readonly wave: number;
  readonly combine: number;
  readonly end: number;
}

/** Records the experts of a span of a prompt, by layer: what they say of `span.expertIn` is added to `span.x`. */
export function recordSpan(rec: Recorder, model: PlacedModel, s: Activations, nTokens: number): readonly SpanCuts[] {
  const { span, waveTable } = s.experts!;
  return model.layers.map((w, layer) => {
    const stage = expertStage(layer);
    const group = rec.nRecorded;
    groupByExpert(rec, { route: span.route, nTokens, stage });
    const wave = rec.nRecorded;
    lookup(rec, { route: span.route, waveTable, nTokens, stage });
    multiplyExperts(rec, w, s, span.route, span.expertIn, nTokens, stage);
    const at = rec.nRecorded;
    combineExperts(rec, model, s, span.route, span.x, nTokens, stage);
    return { group, wave, combine: at, end: rec.nRecorded };
  });
}

/** Records logits [nRows, nVocab] of rows of the residual stream behind the last layer. */
export function recordHead(rec: Recorder, model: PlacedModel, s: Activations, x: BufferView, nRows: number): void {
  // Behind the last layer's experts: its stage is that of a layer more.
  const stage = denseStage(model.layers.length);
  norm(rec, model, x, model.outputNorm, s.h, nRows, stage); // [nRows, modelDim]
  matmul(rec, { x: s.h, w: model.output, y: s.logits, nTokens: nRows, stage }); // [nRows, nVocab]
}

/**
 * The parts of each kind of block: `gate` ends with the choice of experts, `rest` does what needs none of them. The
 * choice of a block is made once, for all layers.
 */
const blocks = {
  /** x += attention(x); x += mlp(x). */
  dense: {
    gate: () => {},
    rest: (step: LayerStep) => {
      attend(step);
      mlp(step);
    },
  },

  /** x += attention(x); x += experts(x). */
  experts: {
    gate: (step: LayerStep) => {
      const { rec, model, layer, w, s, nTokens } = step;
      attend(step);
      norm(rec, model, s.x, w.ffnNorm, s.expertIn, nTokens, denseStage(layer)); // [T, modelDim]
      routeTokens(step);
    },
    rest: () => {},
  },

  /** x += attention(x); x += mlp(x) + experts(x as it came in). */
  denseBesideExperts: {
    gate: (step: LayerStep) => {
      const { rec, model, layer, w, s, nTokens } = step;
      // Routed first, from the layer's input: an absent expert loads while attention and the MLP run.
      norm(rec, model, s.x, w.experts!.norm!, s.expertIn, nTokens, denseStage(layer)); // [T, modelDim]
      routeTokens(step);
    },
    rest: (step: LayerStep) => {
      attend(step);
      mlp(step);
    },
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

/** Chooses experts from `s.expertIn`. */
function routeTokens({ rec, model, layer, w, s, nTokens, routing }: LayerStep): void {
  const { nExperts } = model.plan.shape;
  matmul(rec, { x: s.expertIn, w: w.experts!.gateInp, y: s.routerLogits, nTokens, stage: denseStage(layer) }); // [T, nExperts]
  route(rec, { ...routing!, logits: s.routerLogits, logitStride: rowStride(nExperts), layer, nTokens }); // [T, k]
}

/** A later layer's router on the residual stream as it is now: what it will choose, if not too much is added till then. */
function guessRoutes({ rec, model, layer, s, nTokens }: LayerStep, later: number): void {
  const w = model.layers[later];
  if (!w?.experts) return;
  const stage = denseStage(layer);
  const { guessRoutes, guessLogits } = s.experts!;
  norm(rec, model, s.x, w.experts.norm ?? w.ffnNorm, s.h, nTokens, stage); // [1, modelDim]
  matmul(rec, { x: s.h, w: w.experts.gateInp, y: guessLogits, nTokens, stage }); // [1, nExperts]
  const logitStride = rowStride(model.plan.shape.nExperts);
  route(rec, { logits: guessLogits, logitStride, route: guessRoutes[layer]!, slots: 'later', layer, nTokens }); // [1, k]
}

/** x += Σ weight · expert(expertIn). */
function runExperts(
  { rec, model, layer, w, s, nTokens }: LayerStep,
  { route, expertIn, x }: { route: Route; expertIn: BufferView; x: BufferView },
): void {
  const stage = expertStage(layer);
  multiplyExperts(rec, w, s, route, expertIn, nTokens, stage);
  combineExperts(rec, model, s, route, x, nTokens, stage);
}

/** Of each token, what each of its experts says, by rank: those whose slot is known, the others are left as they were. */
function multiplyExperts(
  rec: Recorder,
  w: PlacedLayer,
  s: Activations,
  route: Route,
  expertIn: BufferView,
  nTokens: number,
  stage: number,
): void {
  const { gateUp, down } = w.experts!;
  const { expertH, expertOut } = s.experts!.span;
  const common = { route, nTokens, stage };
  expertMatmul(rec, { ...common, x: expertIn, w: gateUp, y: expertH, sharedInput: true, output: 'swiglu' }); // [T · k, expertDim]
  expertMatmul(rec, { ...common, x: expertH, w: down, y: expertOut, sharedInput: false }); // [T · k, modelDim]
}

function combineExperts(
  rec: Recorder,
  model: PlacedModel,
  s: Activations,
  route: Route,
  x: BufferView,
  nTokens: number,
  stage: number,
): void {
  const { modelDim } = model.plan.shape;
  combine(rec, { outputs: s.experts!.span.expertOut, route, y: x, nTokens, modelDim, stage }); // [T, modelDim]
}

function norm(
  rec: Recorder,
  model: PlacedModel,
  x: BufferView,
  weight: BufferView,
  y: BufferView,
  nTokens: number,
  stage: number,
): void {
  const { modelDim, normEps: eps } = model.plan.shape;
  rmsNorm(rec, { x, weight, y, nTokens, modelDim, eps, stage });
}
