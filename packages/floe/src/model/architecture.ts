/** What a model family is, as data: everything the plan and the forward pass must know, and nothing that runs. */
import type { RopePairs } from '../kernels/index.ts';
import type { Hyperparameters } from './hyperparameters.ts';

export interface Architecture {
  /** `general.architecture`. */
  readonly name: string;
  /** What a file's metadata makes of it. @throws {ModelError} `model/unsupported-architecture` and what a getter throws. */
  readonly describe: (meta: Hyperparameters) => ModelDescription;
}

/** One model, layer by layer. `decoder()` fills in what most have in common. */
export interface ModelDescription {
  readonly shape: ModelShape;
  readonly norm: NormKind;
  readonly norms: NormNames;
  readonly input: InputNames;
  /** The residual stream begins as the embedding's row times this. */
  readonly embeddingScale: number;
  /** What attention and feed-forward say is added times this. */
  readonly residualScale: number;
  readonly logitScale: number;
  /** Logits become cap · tanh(logit / cap); null: they stay. */
  readonly logitSoftCap: number | null;
  readonly attention: AttentionDescription;
  readonly rope: RopeDescription;
  readonly layers: readonly LayerDescription[];
  /** Stems of matrices that must have a bias. Any other may: a bias that is in the file is applied. */
  readonly biases: readonly string[];
  /** What becomes of the rows behind the last layer, where a text's vector is wanted of them; null: they go on to logits. */
  readonly pooling: Pooling | null;
}

/** A text's vector: the mean of its tokens' rows, that of its first one (BERT's CLS), or that of its last one. */
export type Pooling = 'mean' | 'cls' | 'last';

/** The sizes of one model. */
export interface ModelShape {
  readonly nLayers: number;
  /** Layers with experts. */
  readonly nRoutedLayers: number;
  readonly modelDim: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  /** Of a query and a key. */
  readonly headDim: number;
  /** Of a value. */
  readonly valueDim: number;
  /** Rotated dimensions of a head; 0: none are. */
  readonly ropeDim: number;
  readonly normEps: number;
  /** Inner width of the widest dense MLP; 0 where there is none. */
  readonly ffDim: number;
  /** Inner width of one expert; 0 where there are none. */
  readonly expertDim: number;
  readonly nExperts: number;
  readonly nExpertsUsed: number;
  readonly nCtxTrain: number;
}

/** 'rms': x / rms(x) · weight (Zhang & Sennrich 2019). 'layer': (x - mean) / deviation · weight (Ba et al. 2016), + bias if there is one. */
export type NormKind = 'rms' | 'layer';

/** Stems of norms by where they stand; null where there is none. */
export interface NormNames {
  /** Of what a branch reads. */
  readonly beforeAttention: string | null;
  readonly beforeFeedForward: string | null;
  /** Of what a branch says, before it is added. */
  readonly afterAttention: string | null;
  readonly afterFeedForward: string | null;
  /** Of the residual stream with the branch in it, which then goes on as that (Vaswani et al. 2017). */
  readonly attentionSum: string | null;
  readonly feedForwardSum: string | null;
  /** Behind the last layer. */
  readonly output: string | null;
}

/** Stems of what is added to a token's row of the embedding, and of the norm of the sum; null where there is none. */
export interface InputNames {
  /** [nCtxTrain, modelDim]: the row of its position. */
  readonly positions: string | null;
  /** [types, modelDim]: the first row, for all (BERT's first sentence); a file may leave it out. */
  readonly types: string | null;
  readonly norm: string | null;
}

export interface AttentionDescription {
  /** Of q · k. */
  readonly scale: number;
  /** Scores become cap · tanh(score / cap) before the softmax; null: they stay. */
  readonly softCap: number | null;
  /** False: a token sees those behind it too. */
  readonly causal: boolean;
  /** RMS norm of q and k before they turn: of each head, or of all heads of a token as one vector. */
  readonly qkNorm: 'none' | 'head' | 'whole';
  /** q, k and v are cut to ± this; null: they stay. */
  readonly clamp: number | null;
  /** Each query head has a learned logit that takes part in its softmax and has no value. */
  readonly sinks: boolean;
  /** Keys and values are made of a vector of a low rank (DeepSeek-V2); null: of the layer's input. */
  readonly latent: LatentDescription | null;
}

export interface LatentDescription {
  /** Rank of the queries' own vector; null: they are made of the layer's input. */
  readonly queryRank: number | null;
  readonly rank: number;
  /** Dimensions of a key that do not turn; the `ropeDim` behind them do, and are one for all heads. */
  readonly plainDim: number;
}

export interface RopeDescription {
  readonly pairs: RopePairs;
  /** Layers say which of these they turn by. */
  readonly tables: readonly RopeTable[];
}

/** How fast each pair of dimensions turns: base^(-2i / ropeDim), changed by the scaling. */
export interface RopeTable {
  readonly base: number;
  readonly scaling: RopeScaling;
}

/**
 * 'linear': positions / factor (Chen et al. 2023). 'yarn': slow pairs that, fast ones not (Peng et al. 2023). 'longrope':
 * divisors from the file, others beyond `nCtxOriginal` (Ding et al. 2024). Those of Llama 3.1, a tensor too, go with the
 * other kinds. Cosines and sines are multiplied by `magnitude`.
 */
export type RopeScaling =
  | { readonly kind: 'linear'; readonly factor: number; readonly magnitude: number }
  | {
      readonly kind: 'yarn';
      readonly factor: number;
      readonly nCtxOriginal: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly magnitude: number;
    }
  | { readonly kind: 'longrope'; readonly factor: number; readonly nCtxOriginal: number; readonly magnitude: number };

export interface LayerDescription {
  /** Which of the rope's tables. */
  readonly ropeTable: number;
  /** Keys a query sees at most, its own included; null: all. */
  readonly window: number | null;
  readonly mlp: MlpDescription | null;
  readonly experts: ExpertsDescription | null;
}

export interface MlpDescription {
  /** Behind the stems of its tensors: '_shexp' where it is an expert that all tokens share. */
  readonly suffix: '' | '_shexp';
  readonly dim: number;
  readonly activation: MlpActivation;
  /** What it says is multiplied by sigmoid(gate · x). */
  readonly gated: boolean;
}

/** 'swiglu': silu(gate) · up. 'geglu': gelu(gate) · up, gelu by tanh. 'gelu': gelu(up + its bias), and there is no gate. */
export type MlpActivation = 'swiglu' | 'geglu' | 'gelu';

/** Whether a layer has an MLP of gate over up. */
export function isGated({ mlp }: LayerDescription): boolean {
  return mlp !== null && mlp.activation !== 'gelu';
}

/** 'swigluClamped': gpt-oss's, (up + 1) · gate · sigmoid(1.702 gate), both clamped. */
export type ExpertActivation = 'swiglu' | 'geglu' | 'swigluClamped';

export interface ExpertsDescription {
  /** 'layerInput': a norm of their own of what the layer was given; then their choice needs no attention of the layer. */
  readonly reads: 'attended' | 'layerInput';
  readonly activation: ExpertActivation;
  readonly router: RouterDescription;
}

/** How a token's experts are chosen, and what each is worth. */
export interface RouterDescription {
  readonly gating: 'softmax' | 'sigmoid';
  /** Whether the weights of the chosen are made to sum to 1. With 'softmax', the same as a softmax of the chosen alone. */
  readonly renormalise: boolean;
  /** Weights are multiplied by it. */
  readonly scale: number;
  /** Experts lie in groups; only those of the best groups may be chosen. Null: all may. */
  readonly groups: { readonly nGroups: number; readonly nGroupsUsed: number } | null;
}
