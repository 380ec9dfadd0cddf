/** What tells the families of random models apart: tensors they have beside or in place of Llama's, and metadata. */
import type { MetadataInput } from './ggufWriter.ts';
import type { RandomModelOptions } from './randomModel.ts';
import type { TokenizerKind } from './randomTokenizer.ts';

export interface Family {
  /** In place of the architecture in the model's name. */
  readonly title?: string;
  /** q, k and v, and gate and up, are one matrix each. */
  readonly fused?: boolean;
  /** Stems of the matrices of attention and MLP that have one. */
  readonly biases?: readonly string[];
  readonly qkNorm?: 'head' | 'whole';
  readonly sinks?: boolean;
  readonly latent?: LatentDims;
  /** Norms behind attention and MLP too. */
  readonly postNorms?: boolean;
  /** The stem of the norm before MLP or experts. */
  readonly ffnNorm?: string;
  readonly layerNorm?: boolean;
  readonly normBiases?: boolean;
  /** Its MLP is up and down alone. */
  readonly ungated?: boolean;
  /** First layers without experts. */
  readonly nDense?: number;
  /** Beside the experts, an MLP with a norm of its own, or one with theirs. */
  readonly beside?: 'mlp' | 'shared';
  readonly sharedGate?: boolean;
  readonly expertBiases?: boolean;
  readonly selectionBias?: boolean;
  /** Whether an expert's width has a key of its own. */
  readonly expertLength?: 'own';
  readonly tied?: boolean;
  /** Of texts' vectors: norms of the stream with a branch in it, and none before; biases of matrices, or a gate. */
  readonly encoder?: 'biased' | 'gated';
  readonly tokenizer?: TokenizerKind;
  readonly metadata?: (options: RandomModelOptions) => Record<string, MetadataInput>;
}

export interface LatentDims {
  readonly queryRank: number;
  readonly rank: number;
  readonly plainDim: number;
  readonly valueDim: number;
}

const qkv = ['attn_q', 'attn_k', 'attn_v'];
const latent: LatentDims = { queryRank: 32, rank: 64, plainDim: 32, valueDim: 32 };
const encoderMetadata = () => ({ 'attention.causal': false, pooling_type: 1 });
const ffDim = ({ ffDim, modelDim }: RandomModelOptions) => ffDim ?? 2 * modelDim;

/** Numbers that a model would be trained with are chosen so that leaving them out shows. */
export const families = {
  arctic: { beside: 'mlp' },
  bert: { encoder: 'biased', layerNorm: true, tokenizer: 'bert', metadata: encoderMetadata },
  'nomic-bert': { encoder: 'gated', layerNorm: true, tokenizer: 'bert', metadata: encoderMetadata },
  llama: {},
  dbrx: {
    fused: true,
    layerNorm: true,
    ffnNorm: 'attn_output_norm',
    metadata: () => ({ 'attention.clamp_kqv': { f32: 1.5 } }),
  },
  qwen2: { biases: qkv },
  qwen2moe: {
    biases: qkv,
    beside: 'shared',
    sharedGate: true,
    expertLength: 'own',
    metadata: (options) => ({ expert_shared_feed_forward_length: ffDim(options) }),
  },
  qwen3: { qkNorm: 'head' },
  qwen3moe: { qkNorm: 'head', expertLength: 'own' },
  olmoe: { qkNorm: 'whole' },
  granitemoe: {
    beside: 'shared',
    metadata: (options) => ({
      embedding_scale: { f32: 1.7 },
      residual_scale: { f32: 0.6 },
      'attention.scale': { f32: 0.4 },
      logit_scale: { f32: 0.8 },
      expert_shared_feed_forward_length: ffDim(options),
    }),
  },
  // llama.cpp looks for words of Phi-3's vocabulary in a model of its name.
  phi3: { fused: true, title: 'phi' },
  starcoder2: {
    layerNorm: true,
    normBiases: true,
    ungated: true,
    biases: [...qkv, 'attn_output', 'ffn_up', 'ffn_down'],
  },
  gemma2: {
    postNorms: true,
    tied: true,
    metadata: () => ({
      'attention.sliding_window': 12,
      attn_logit_softcapping: { f32: 3 },
      final_logit_softcapping: { f32: 4 },
    }),
  },
  gemma3: { postNorms: true, tied: true, qkNorm: 'head', metadata: () => ({ 'attention.sliding_window': 12 }) },
  'gpt-oss': {
    biases: [...qkv, 'attn_output'],
    sinks: true,
    ffnNorm: 'post_attention_norm',
    expertBiases: true,
    expertLength: 'own',
    metadata: () => ({ 'attention.sliding_window': 12 }),
  },
  deepseek2: {
    latent,
    nDense: 1,
    beside: 'shared',
    selectionBias: true,
    expertLength: 'own',
    metadata: ({ ropeDim = 16, latentJoined = false, latentLite = false, nHeads }) => ({
      leading_dense_block_count: 1,
      expert_shared_count: 1,
      expert_weights_scale: { f32: 1.6 },
      expert_weights_norm: true,
      expert_gating_func: 2,
      'rope.dimension_count': ropeDim,
      'attention.kv_lora_rank': latent.rank,
      ...(latentLite ? {} : { 'attention.q_lora_rank': latent.queryRank }),
      ...(latentJoined
        ? {
            'attention.head_count_kv': nHeads,
            'attention.key_length': latent.plainDim + ropeDim,
            'attention.value_length': latent.valueDim,
          }
        : {
            'attention.head_count_kv': 1,
            'attention.key_length': latent.rank + ropeDim,
            'attention.value_length': latent.rank,
            'attention.key_length_mla': latent.plainDim + ropeDim,
            'attention.value_length_mla': latent.valueDim,
          }),
    }),
  },
} satisfies Record<string, Family>;

export type FamilyName = keyof typeof families;
