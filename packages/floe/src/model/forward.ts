/** The forward pass, top to bottom: what a step dispatches, in order. T is the number of tokens of the step. */
import type { BufferView, Recorder } from '../gpu/index.ts';
import { denseStage, expertStage, groupByExpert, lookup, scaleBy, softCap } from '../kernels/index.ts';
import type { KvPool } from '../kv/index.ts';
import type { Activations } from './activations.ts';
import { chooseExperts, restOfLayer } from './block.ts';
import { combineExperts, guessRoutes, multiplyExperts } from './experts.ts';
import { recordInput } from './input.ts';
import { linear } from './linear.ts';
import { normed } from './norm.ts';
import type { PlacedModel } from './place.ts';
import { routedLayers } from './plan.ts';
import type { LayerStep } from './step.ts';
import type { StepActivations } from './stepActivations.ts';

/** Where a recorded decode step may be cut, in dispatches. */
export interface StepCuts {
  /** Of each layer with experts; empty where there are none. */
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

/** A decode step's rows, a token of a conversation each; and how many layers later its guesses are for, if it makes any. */
export interface DecodeShape {
  readonly nRows: number;
  readonly guessAhead: number;
}

/**
 * Records a decode step: `s.tokens` in, `s.logits` out, a key and a value of each row appended to `kv`. With
 * `guessAhead`, each routing also guesses that of the layer with experts so many later.
 */
export function recordDecode(
  rec: Recorder,
  model: PlacedModel,
  kv: KvPool,
  s: StepActivations,
  { nRows: nTokens, guessAhead }: DecodeShape = { nRows: 1, guessAhead: 0 },
): StepCuts {
  const layers: LayerCuts[] = [];
  recordInput(rec, model, s, nTokens);
  for (const [layer, w] of model.layers.entries()) {
    const routedLayer = layers.length;
    const step: LayerStep = { rec, model, layer, routedLayer, w, kv, s, nTokens };
    if (!w.experts) {
      restOfLayer(step);
      continue;
    }
    const route = s.routing!.routes[routedLayer]!;
    const slots = { pageTable: model.slots!.pageTable, fault: s.fault };
    chooseExperts(step, { route, slots });
    const routedAt = rec.nRecorded - 1;
    if (guessAhead > 0) guessRoutes(step, s.routing!, guessAhead);
    const routed = rec.nRecorded;
    restOfLayer(step);
    layers.push({ route: routedAt, routed, experts: rec.nRecorded });
    const common = { rec, model, s, w, route, nTokens, stage: expertStage(routedLayer) };
    multiplyExperts({ ...common, expertIn: s.expertIn });
    combineExperts({ ...common, x: s.x });
  }
  recordHead(rec, model, s, s.x, nTokens);
  return { layers, end: rec.nRecorded };
}

/**
 * Records a chunk of a prompt, all but its experts: from `s.tokens` in the first part, from `s.x` in the others. A part
 * ends with each layer that has experts; part i is dispatches [i] to [i + 1]. A model without experts is one part.
 */
export function recordChunk(
  rec: Recorder,
  model: PlacedModel,
  kv: KvPool,
  s: Activations,
  nTokens: number,
): readonly number[] {
  const borders = [0];
  recordInput(rec, model, s, nTokens);
  for (const [layer, w] of model.layers.entries()) {
    const step: LayerStep = { rec, model, layer, routedLayer: borders.length - 1, w, kv, s, nTokens };
    if (w.experts) chooseExperts(step, { route: s.experts!.chunkRoute, slots: 'later' });
    restOfLayer(step);
    if (w.experts) borders.push(rec.nRecorded);
  }
  return model.experts ? borders : [0, rec.nRecorded];
}

/** Where a span's experts of one layer lie among the dispatches: once `group`, `wave` for each wave, once `combine`. */
export interface SpanCuts {
  readonly group: number;
  readonly wave: number;
  readonly combine: number;
  readonly end: number;
}

/** Records the experts of a span of a prompt, by layer that has any: what they say of `span.expertIn` is added to `span.x`. */
export function recordSpan(rec: Recorder, model: PlacedModel, s: Activations, nTokens: number): readonly SpanCuts[] {
  const { span, waveTable } = s.experts!;
  const { route, expertIn, x } = span;
  return routedLayers(model.layers).map((w, routedLayer) => {
    const stage = expertStage(routedLayer);
    const common = { rec, model, s, w, route, nTokens, stage };
    const group = rec.nRecorded;
    groupByExpert(rec, { route, nTokens, stage });
    const wave = rec.nRecorded;
    lookup(rec, { route, waveTable, nTokens, stage });
    multiplyExperts({ ...common, expertIn });
    const combine = rec.nRecorded;
    combineExperts({ ...common, x });
    return { group, wave, combine, end: rec.nRecorded };
  });
}

/** Records logits [nRows, nVocab] of rows of the residual stream behind the last layer. */
export function recordHead(rec: Recorder, model: PlacedModel, s: Activations, x: BufferView, nRows: number): void {
  // Behind the last layer's experts: its stage is that of a layer more.
  const stage = denseStage(model.plan.shape.nRoutedLayers);
  const step = { rec, model, s, nTokens: nRows, stage };
  const rows = normed(step, x, model.outputNorm, s.h); // [nRows, modelDim]
  linear(step, { x: rows, w: model.output, y: s.logits }); // [nRows, nVocab]
  const { nVocab, description } = model.plan;
  const { logitScale, logitSoftCap } = description;
  const at = { y: s.logits, nTokens: nRows, dim: nVocab, stage };
  if (logitScale !== 1) scaleBy(rec, logitScale, at);
  if (logitSoftCap !== null) softCap(rec, logitSoftCap, at);
}
