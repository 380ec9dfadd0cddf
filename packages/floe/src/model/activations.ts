import { BINDING_ALIGNMENT, type BufferView, type Device, roundUp, whole } from '../gpu/index.ts';
import { NO_FAULT, type Route } from '../kernels/index.ts';
import { rowStride } from '../quant/index.ts';
import type { ModelPlan } from './plan.ts';

/** Every buffer a step writes between its input and its logits, for at most `nTokens` tokens. Made once. */
export interface Activations {
  readonly nTokens: number;
  /** Rows of `logits`. */
  readonly nLogitRows: number;
  /** [T] ids; the sampler writes the next one into the first. */
  readonly tokens: BufferView;
  readonly angles: BufferView;
  readonly cacheSlots: BufferView;
  readonly nKeys: BufferView;
  /** The residual stream [T, modelDim]. */
  readonly x: BufferView;
  readonly h: BufferView;
  readonly qkv: BufferView;
  readonly qkvStride: number;
  readonly q: BufferView;
  readonly attn: BufferView;
  readonly ff: BufferView;
  readonly expertIn: BufferView;
  readonly routerLogits: BufferView;
  readonly route: Route | null;
  readonly expertH: BufferView;
  readonly expertOut: BufferView;
  readonly logits: BufferView;
  readonly fault: BufferView;
  destroy(): void;
}

/** Allocates the activations of a step of up to `nTokens` tokens, with `nLogitRows` rows of logits. */
export function makeActivations(device: Device, plan: ModelPlan, nTokens: number, nLogitRows: number): Activations {
  const { shape, nVocab } = plan;
  const { nHeads, nKvHeads, headDim, modelDim, ffDim, expertDim, nExperts, nExpertsUsed, ropeDim } = shape;
  const made: GPUBuffer[] = [];
  const buffer = (label: string, nValues: number): BufferView => {
    // A zero-sized one is never bound, but every name exists.
    const view = whole(
      device.buffers.storage('activations', label, roundUp(Math.max(4, nValues * 4), BINDING_ALIGNMENT)),
    );
    made.push(view.buffer);
    return view;
  };
  const rows = (label: string, dim: number, nRows = nTokens) => buffer(label, nRows * rowStride(dim));
  const nPairs = nTokens * nExpertsUsed;
  const qkvDim = (nHeads + 2 * nKvHeads) * headDim;
  const route: Route | null =
    nExperts === 0
      ? null
      : {
          ids: buffer('route.ids', nPairs),
          weights: buffer('route.weights', nPairs),
          slots: buffer('route.slots', nPairs),
          starts: buffer('route.starts', nExperts + 1),
          sorted: buffer('route.sorted', nPairs),
          nExperts,
          nExpertsUsed,
        };
  const fault = buffer('fault', 1);
  device.write(fault.buffer, 0, new Uint8Array(new Uint32Array([NO_FAULT]).buffer));
  return {
    nTokens,
    nLogitRows,
    tokens: buffer('tokens', nTokens),
    angles: buffer('angles', nTokens * ropeDim),
    cacheSlots: buffer('cacheSlots', nTokens),
    nKeys: buffer('nKeys', nTokens),
    x: rows('x', modelDim),
    h: rows('h', modelDim),
    qkv: rows('qkv', qkvDim),
    qkvStride: rowStride(qkvDim),
    q: rows('q', nHeads * headDim),
    attn: rows('attn', nHeads * headDim),
    ff: rows('ff', ffDim),
    expertIn: rows('expertIn', modelDim),
    routerLogits: rows('routerLogits', nExperts),
    route,
    expertH: rows('expertH', expertDim, nPairs),
    expertOut: rows('expertOut', modelDim, nPairs),
    logits: rows('logits', nVocab, nLogitRows),
    fault,
    destroy: () => {
      for (const one of made) device.buffers.destroy(one);
    },
  };
}
