import { BINDING_ALIGNMENT, type BufferView, type Device, roundUp, whole } from '../gpu/index.ts';
import { NO_FAULT, partialBytes, type Route, type SortedRoute } from '../kernels/index.ts';
import { rowStride } from '../quant/index.ts';
import { AdapterBuffers } from './adapterBuffers.ts';
import type { ModelDescription, ModelShape } from './architecture.ts';
import type { ModelPlan } from './plan.ts';
import { hasGateApart, keepsExpertGateUp } from './planLayer.ts';
import type { StepSizes } from './stepSizes.ts';

/** Every buffer between a step's input and its logits, for at most `chunkTokens` tokens. Made once. */
export interface Activations {
  readonly sizes: StepSizes;
  /** [T] ids; the sampler writes the next one into the first. */
  readonly tokens: BufferView;
  /** [T] (position, row of the cache's block table). */
  readonly places: BufferView;
  /** [T] positions alone; null where they have no learned rows. */
  readonly positions: BufferView | null;
  /** [T, 2, ropeDim / 2] of each of the model's rope tables: at a token's position, and where sinks see it. */
  readonly angles: readonly BufferView[];
  /** The residual stream [T, modelDim]. */
  readonly x: BufferView;
  readonly h: BufferView;
  readonly qkv: BufferView;
  readonly qkvStride: number;
  /** [T, 2, nHeads, headDim]. */
  readonly q: BufferView;
  /** Of attention that is spread over stretches of keys; null where the window is too short for it. */
  readonly partials: BufferView | null;
  readonly attn: BufferView;
  readonly ff: BufferView;
  /** [T, gate | up] of the dense MLP; null where one kernel multiplies and activates in every layer. */
  readonly ffGateUp: BufferView | null;
  /** [T, modelDim] what is changed before it is added to the residual stream; null where nothing is. */
  readonly branch: BufferView | null;
  /** [spanTokens, modelDim] the residual stream of a whole text; null where no vector is made of it. */
  readonly text: BufferView | null;
  /** [T, 1]; null where no MLP has a gate. */
  readonly mlpGate: BufferView | null;
  readonly latent: LatentActivations | null;
  readonly expertIn: BufferView;
  readonly routerLogits: BufferView;
  /** Rows of the residual stream whose logits are wanted [logitRows, modelDim]. */
  readonly headIn: BufferView;
  readonly logits: BufferView;
  readonly fault: BufferView;
  /** Null where the model has no experts. */
  readonly experts: ExpertActivations | null;
  readonly adapters: AdapterBuffers;
  destroy(): void;
}

/** Between a layer's input and the heads of latent attention. */
export interface LatentActivations {
  /** [T, queryRank] and [T, nHeads, headDim]. */
  readonly query: BufferView;
  readonly heads: BufferView;
  /** [T, rank] and [T, ropeDim]. */
  readonly vector: BufferView;
  readonly rope: BufferView;
  /** [T, nHeads, plainDim], with each head's value behind it where one matrix makes both, and [T, nHeads, valueDim]. */
  readonly keys: BufferView;
  readonly values: BufferView;
}

export interface ExpertActivations {
  /** What a chunk chose: ids and weights. */
  readonly chunkRoute: Route;
  readonly span: SpanActivations;
  /** [nExperts] which slot holds an expert of the wave whose turn it is. */
  readonly waveTable: BufferView;
}

/** The tokens of a span, between one layer's chunks and its experts. */
export interface SpanActivations {
  /** [span, modelDim]. */
  readonly x: BufferView;
  readonly expertIn: BufferView;
  readonly route: SortedRoute;
  /** [span · k, gate | up]; null where one kernel multiplies and activates in every layer. */
  readonly expertGateUp: BufferView | null;
  /** [span · k, expertDim] and [span · k, modelDim]. */
  readonly expertH: BufferView;
  readonly expertOut: BufferView;
}

/** The bytes of every buffer `makeActivations` makes, by name: known before there is a device. */
export function activationBytes(plan: ModelPlan, sizes: StepSizes): Readonly<Record<string, number>> {
  const { shape, nVocab } = plan;
  const { nHeads, headDim, valueDim, modelDim, ffDim, expertDim, nExperts, nExpertsUsed, ropeDim } = shape;
  const { chunkTokens, spanTokens, logitRows } = sizes;
  const values = (n: number) => roundUp(Math.max(4, n * 4), BINDING_ALIGNMENT);
  const rows = (dim: number, nRows = chunkTokens) => values(nRows * rowStride(dim));
  const nPairs = spanTokens * nExpertsUsed;
  // A text's chunks are of many tokens, which nothing needs to spread.
  const nPartialBytes = plan.description.pooling ? 0 : partialBytes(shape, sizes.window, chunkTokens);
  const common = {
    tokens: values(chunkTokens),
    places: values(chunkTokens * 2),
    ...Object.fromEntries(
      plan.description.rope.tables.map((_, i) => [`angles.${i}`, values(chunkTokens * 2 * ropeDim)]),
    ),
    x: rows(modelDim),
    h: rows(modelDim),
    qkv: rows(qkvDim(shape)),
    q: rows(nHeads * headDim, 2 * chunkTokens),
    ...(nPartialBytes === 0 ? {} : { partials: roundUp(nPartialBytes, BINDING_ALIGNMENT) }),
    attn: rows(nHeads * valueDim),
    ff: rows(ffDim),
    ...(plan.layers.some(hasGateApart) ? { ffGateUp: rows(2 * ffDim) } : {}),
    expertIn: rows(modelDim),
    routerLogits: rows(nExperts),
    headIn: rows(modelDim, logitRows),
    logits: rows(nVocab, logitRows),
    fault: values(1),
    ...(plan.description.pooling ? { text: rows(modelDim, spanTokens) } : {}),
    ...(plan.description.input.positions ? { positions: values(chunkTokens) } : {}),
    ...partsBytes(plan.description, rows),
  };
  if (shape.nRoutedLayers === 0) return common;
  return {
    ...common,
    chunkIds: values(chunkTokens * nExpertsUsed),
    chunkWeights: values(chunkTokens * nExpertsUsed),
    waveTable: values(nExperts),
    spanX: rows(modelDim, spanTokens),
    spanExpertIn: rows(modelDim, spanTokens),
    spanIds: values(nPairs),
    spanWeights: values(nPairs),
    spanSlots: values(nPairs),
    starts: values(nExperts + 1),
    sorted: values(nPairs),
    ...(plan.layers.some(keepsExpertGateUp) ? { expertGateUp: rows(2 * expertDim, nPairs) } : {}),
    expertH: rows(expertDim, nPairs),
    expertOut: rows(modelDim, nPairs),
  };
}

/** Of what not every model has. */
function partsBytes(description: ModelDescription, rows: (dim: number) => number): Record<string, number> {
  const { shape, norms, input, attention, layers, residualScale } = description;
  const { modelDim, nHeads, headDim, valueDim, ropeDim } = shape;
  const hasGate = layers.some(({ mlp }) => mlp?.gated);
  const { afterAttention, afterFeedForward, attentionSum, feedForwardSum } = norms;
  const named = [afterAttention, afterFeedForward, attentionSum, feedForwardSum, input.norm];
  const hasBranch = hasGate || residualScale !== 1 || named.some((name) => name !== null);
  const { latent } = attention;
  return {
    ...(hasBranch ? { branch: rows(modelDim) } : {}),
    ...(hasGate ? { mlpGate: rows(1) } : {}),
    ...(latent && {
      latentQuery: rows(latent.queryRank ?? 1),
      latentHeads: rows(nHeads * headDim),
      latentVector: rows(latent.rank),
      latentRope: rows(ropeDim),
      latentKeys: rows(nHeads * (latent.plainDim + valueDim)),
      latentValues: rows(nHeads * valueDim),
    }),
  };
}

/** Values of a token's q, k and v, side by side. */
function qkvDim({ nHeads, nKvHeads, headDim, valueDim }: ModelShape): number {
  return (nHeads + nKvHeads) * headDim + nKvHeads * valueDim;
}

/** Allocates what the forward pass of that many tokens writes. */
export function makeActivations(device: Device, plan: ModelPlan, sizes: StepSizes): Activations {
  const made = makeBuffers(device, activationBytes(plan, sizes));
  const view = (name: string) => made.get(name)!;
  const adapters = new AdapterBuffers(device, plan, sizes);
  const optional = (name: string) => made.get(name) ?? null;
  device.write(view('fault').buffer, 0, new Uint8Array(new Uint32Array([NO_FAULT]).buffer));
  return {
    sizes,
    tokens: view('tokens'),
    places: view('places'),
    positions: optional('positions'),
    angles: plan.description.rope.tables.map((_, i) => view(`angles.${i}`)),
    x: view('x'),
    h: view('h'),
    qkv: view('qkv'),
    qkvStride: rowStride(qkvDim(plan.shape)),
    q: view('q'),
    partials: made.get('partials') ?? null,
    attn: view('attn'),
    ff: view('ff'),
    ffGateUp: optional('ffGateUp'),
    branch: optional('branch'),
    text: optional('text'),
    mlpGate: optional('mlpGate'),
    latent: plan.description.attention.latent && {
      query: view('latentQuery'),
      heads: view('latentHeads'),
      vector: view('latentVector'),
      rope: view('latentRope'),
      keys: view('latentKeys'),
      values: view('latentValues'),
    },
    expertIn: view('expertIn'),
    routerLogits: view('routerLogits'),
    headIn: view('headIn'),
    logits: view('logits'),
    fault: view('fault'),
    experts: plan.shape.nRoutedLayers === 0 ? null : expertActivations(plan, view, optional('expertGateUp')),
    adapters,
    destroy: () => {
      adapters.destroy();
      for (const { buffer } of made.values()) device.buffers.destroy(buffer);
    },
  };
}

/** A storage buffer for each name and size. */
export function makeBuffers(device: Device, bytes: Readonly<Record<string, number>>): Map<string, BufferView> {
  return new Map(
    Object.entries(bytes).map(([name, size]) => [name, whole(device.buffers.storage('activations', name, size))]),
  );
}

function expertActivations(
  plan: ModelPlan,
  view: (name: string) => BufferView,
  expertGateUp: BufferView | null,
): ExpertActivations {
  const { nExperts, nExpertsUsed } = plan.shape;
  const shared = { starts: view('starts'), sorted: view('sorted'), nExperts, nExpertsUsed };
  return {
    chunkRoute: { ...shared, ids: view('chunkIds'), weights: view('chunkWeights'), slots: view('spanSlots') },
    span: {
      x: view('spanX'),
      expertIn: view('spanExpertIn'),
      route: { ...shared, ids: view('spanIds'), weights: view('spanWeights'), slots: view('spanSlots') },
      expertGateUp,
      expertH: view('expertH'),
      expertOut: view('expertOut'),
    },
    waveTable: view('waveTable'),
  };
}
