import { ModelError } from '../errors/index.ts';
import type { RopePairs } from '../kernels/index.ts';

/**
 * What a layer does after attention. 'dense': a SwiGLU MLP. 'experts': top-k experts in its place. 'denseBesideExperts':
 * both, the experts fed by their own norm of the layer's *input*.
 */
export type FeedForward = 'dense' | 'experts' | 'denseBesideExperts';

/** A model family as data: everything `plan.ts` and `forward.ts` must know, and nothing that runs. */
export interface Architecture {
  /** `general.architecture`. */
  readonly name: string;
  readonly rope: RopePairs;
  readonly feedForward: (shape: ModelShape) => FeedForward;
  readonly shape: (meta: Hyperparameters) => ModelShape;
}

/** The sizes of one model. */
export interface ModelShape {
  readonly nLayers: number;
  readonly modelDim: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly ropeDim: number;
  readonly ropeBase: number;
  /** Positions are divided by it before they turn (linear scaling); 1 where there is none. */
  readonly ropeScale: number;
  readonly normEps: number;
  /** Inner width of the dense MLP; 0 where there is none. */
  readonly ffDim: number;
  /** Inner width of one expert; 0 where there are none. */
  readonly expertDim: number;
  readonly nExperts: number;
  readonly nExpertsUsed: number;
  readonly nCtxTrain: number;
}

/** The metadata of one architecture, without its prefix: `u32('block_count')` reads `arctic.block_count`. */
export interface Hyperparameters {
  readonly u32: (key: string, range?: Range) => number;
  readonly optionalU32: (key: string, range?: Range) => number | undefined;
  readonly f32: (key: string, range?: Range) => number;
  readonly optionalF32: (key: string, range?: Range) => number | undefined;
  readonly optionalString: (key: string) => string | undefined;
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** What every decoder says the same way (rule G11 of the reader: each value in a range in which it can mean something). */
export function decoderShape(meta: Hyperparameters): ModelShape {
  const modelDim = meta.u32('embedding_length', { min: 1, max: 65_536 });
  const nHeads = meta.u32('attention.head_count', { min: 1, max: 1024 });
  const headDim = meta.optionalU32('attention.key_length', { min: 1, max: 1024 }) ?? modelDim / nHeads;
  const valueDim = meta.optionalU32('attention.value_length') ?? headDim;
  if (valueDim !== headDim) throw unsupported(`keys of ${headDim} and values of ${valueDim}`);
  const nExperts = meta.optionalU32('expert_count', { min: 0, max: 1024 }) ?? 0;
  const innerDim = meta.u32('feed_forward_length', { min: 1, max: 1 << 20 });
  return {
    nLayers: meta.u32('block_count', { min: 1, max: 512 }),
    modelDim,
    nHeads,
    nKvHeads: meta.optionalU32('attention.head_count_kv', { min: 1, max: nHeads }) ?? nHeads,
    headDim,
    ropeDim: meta.optionalU32('rope.dimension_count', { min: 2, max: headDim }) ?? headDim,
    ropeBase: meta.optionalF32('rope.freq_base', { min: 1, max: 1e12 }) ?? 10_000,
    ropeScale: linearScale(meta),
    normEps: meta.f32('attention.layer_norm_rms_epsilon', { min: Number.MIN_VALUE, max: 1e-2 }),
    ffDim: nExperts > 0 ? 0 : innerDim,
    expertDim: nExperts > 0 ? innerDim : 0,
    nExperts,
    nExpertsUsed: nExperts > 0 ? meta.u32('expert_used_count', { min: 1, max: nExperts }) : 0,
    nCtxTrain: meta.u32('context_length', { min: 1, max: 1 << 24 }),
  };
}

/** `rope.scaling.*`: linear, as most files of longer contexts have it; anything else would turn keys by other angles. */
function linearScale(meta: Hyperparameters): number {
  const type = meta.optionalString('rope.scaling.type') ?? 'linear';
  if (type === 'none') return 1;
  if (type !== 'linear') throw unsupported(`rope scaling of type ${type}`);
  const range = { min: 1, max: 1024 };
  return meta.optionalF32('rope.scaling.factor', range) ?? meta.optionalF32('rope.scale_linear', range) ?? 1;
}

function unsupported(what: string): ModelError {
  return new ModelError('model/unsupported-architecture', `The model has ${what}, which Floe can't run yet.`, {
    remedy: 'Take another model: this one would answer wrongly.',
    details: { what },
  });
}
