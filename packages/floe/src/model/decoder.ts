/** What decoders have in common, filled in: an architecture says what is different. */
import type { RopePairs } from '../kernels/index.ts';
import type {
  AttentionDescription,
  ExpertsDescription,
  InputNames,
  LayerDescription,
  MlpDescription,
  ModelDescription,
  ModelShape,
  NormKind,
  NormNames,
  RopeTable,
  RouterDescription,
} from './architecture.ts';
import type { Hyperparameters } from './hyperparameters.ts';
import { poolingOf } from './pooling.ts';
import { ropeTable } from './ropeScaling.ts';

/** The sizes that stand in every file under the same keys. */
export type Sizes = Omit<ModelShape, 'nRoutedLayers' | 'ffDim' | 'expertDim'>;

/** What is different in an architecture. Each may depend on the sizes; what is left out is as in Llama. */
export interface DecoderTraits {
  readonly pairs: RopePairs;
  /** The layers' feed-forward; `layer` counts from 0. */
  readonly feedForward: (sizes: Sizes, layer: number) => Pick<LayerDescription, 'mlp' | 'experts'>;
  /** Inner width of an expert. */
  readonly expertDim?: number;
  readonly sizes?: Partial<Sizes>;
  readonly norm?: NormKind;
  readonly norms?: Partial<NormNames>;
  readonly input?: Partial<InputNames>;
  readonly attention?: Partial<AttentionDescription>;
  /** By itself one table, with the scaling the file names. */
  readonly ropeTables?: readonly RopeTable[];
  /** Which table a layer has, and which window; by itself the first, and none. */
  readonly layer?: (layer: number) => Partial<Pick<LayerDescription, 'ropeTable' | 'window'>>;
  readonly embeddingScale?: number;
  readonly residualScale?: number;
  readonly logitScale?: number;
  readonly logitSoftCap?: number | null;
  readonly biases?: readonly string[];
}

const PRE_NORMS: NormNames = {
  beforeAttention: 'attn_norm',
  beforeFeedForward: 'ffn_norm',
  afterAttention: null,
  afterFeedForward: null,
  attentionSum: null,
  feedForwardSum: null,
  output: 'output_norm',
};

export function decoder(meta: Hyperparameters, traits: DecoderTraits): ModelDescription {
  const norm = traits.norm ?? 'rms';
  const sizes = { ...decoderSizes(meta, norm), ...traits.sizes };
  const layers = Array.from(
    { length: sizes.nLayers },
    (_, layer): LayerDescription => ({
      ropeTable: 0,
      window: null,
      ...traits.layer?.(layer),
      ...traits.feedForward(sizes, layer),
    }),
  );
  return {
    shape: {
      ...sizes,
      nRoutedLayers: layers.filter(({ experts }) => experts).length,
      ffDim: Math.max(0, ...layers.map(({ mlp }) => mlp?.dim ?? 0)),
      expertDim: sizes.nExperts > 0 ? (traits.expertDim ?? feedForwardLength(meta)) : 0,
    },
    norm,
    norms: { ...PRE_NORMS, ...traits.norms },
    input: { positions: null, types: null, norm: null, ...traits.input },
    embeddingScale: traits.embeddingScale ?? 1,
    residualScale: traits.residualScale ?? 1,
    logitScale: traits.logitScale ?? 1,
    logitSoftCap: traits.logitSoftCap ?? null,
    attention: {
      scale: 1 / Math.sqrt(sizes.headDim),
      softCap: null,
      causal: meta.optionalBool('attention.causal') ?? true,
      qkNorm: 'none',
      clamp: null,
      sinks: false,
      latent: null,
      ...traits.attention,
    },
    rope: { pairs: traits.pairs, tables: traits.ropeTables ?? [ropeTable(meta, sizes.nCtxTrain)] },
    layers,
    biases: traits.biases ?? [],
    // Of experts a text's rows would come span by span: no family that pools has any.
    pooling: layers.some(({ experts }) => experts) ? null : poolingOf(meta),
  };
}

/** What every decoder says the same way (rule G11 of the reader: each value in a range in which it can mean something). */
export function decoderSizes(meta: Hyperparameters, norm: NormKind = 'rms'): Sizes {
  const modelDim = meta.u32('embedding_length', { min: 1, max: 65_536 });
  const nHeads = meta.u32('attention.head_count', { min: 1, max: 1024 });
  const headDim = meta.optionalU32('attention.key_length', { min: 1, max: 1024 }) ?? modelDim / nHeads;
  const valueDim = meta.optionalU32('attention.value_length', { min: 1, max: 1024 }) ?? modelDim / nHeads;
  const nExperts = meta.optionalU32('expert_count', { min: 0, max: 1024 }) ?? 0;
  const eps = norm === 'rms' ? 'attention.layer_norm_rms_epsilon' : 'attention.layer_norm_epsilon';
  return {
    nLayers: meta.u32('block_count', { min: 1, max: 512 }),
    modelDim,
    nHeads,
    nKvHeads: meta.optionalU32('attention.head_count_kv', { min: 1, max: nHeads }) ?? nHeads,
    headDim,
    valueDim,
    ropeDim: meta.optionalU32('rope.dimension_count', { min: 2, max: headDim }) ?? headDim,
    normEps: meta.f32(eps, { min: Number.MIN_VALUE, max: 1e-2 }),
    nExperts,
    nExpertsUsed: nExperts > 0 ? meta.u32('expert_used_count', { min: 1, max: nExperts }) : 0,
    nCtxTrain: meta.u32('context_length', { min: 1, max: 1 << 24 }),
  };
}

const DIMS = { min: 1, max: 1 << 20 };

/** `feed_forward_length`: the width of the MLP, and in some families that of an expert. */
export function feedForwardLength(meta: Hyperparameters): number {
  return meta.u32('feed_forward_length', DIMS);
}

/** `expert_feed_forward_length`, where an expert's width has a key of its own. */
export function expertLength(meta: Hyperparameters): number | undefined {
  return meta.optionalU32('expert_feed_forward_length', DIMS);
}

/** `expert_shared_feed_forward_length`. */
export function sharedLength(meta: Hyperparameters): number | undefined {
  return meta.optionalU32('expert_shared_feed_forward_length', DIMS);
}

export function mlpOf(dim: number, own: Partial<MlpDescription> = {}): MlpDescription {
  return { suffix: '', dim, activation: 'swiglu', gated: false, ...own };
}

/** An MLP that every token goes through beside its experts. */
export function sharedMlp(dim: number, own: Partial<MlpDescription> = {}): MlpDescription {
  return mlpOf(dim, { suffix: '_shexp', ...own });
}

/** Experts fed as an MLP would be, and a softmax over all of which the best are kept and made to sum to 1. */
export function expertsOf(
  router: Partial<RouterDescription> = {},
  own: Partial<ExpertsDescription> = {},
): ExpertsDescription {
  const standard: RouterDescription = { gating: 'softmax', renormalise: true, scale: 1, groups: null };
  return { reads: 'attended', activation: 'swiglu', router: { ...standard, ...router }, ...own };
}
