/** The families whose checkpoints are read: a row each says how a hub's names and settings become GGUF's. */
import { ModelError } from '../errors/index.ts';
import { counts, type Entries, f32, u32 } from './entries.ts';
import { type Family, only, unsupported } from './family.ts';
import type { JsonReader } from './json.ts';

const attention = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
};
/** Of q and k: of each head, or of all as one vector. */
const queryNorms = { 'self_attn.q_norm': 'attn_q_norm', 'self_attn.k_norm': 'attn_k_norm' };
const mlp = {
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};
/** Mixtral's, which Arctic has too. */
const sparseMoe = {
  'block_sparse_moe.gate': 'ffn_gate_inp',
  'block_sparse_moe.experts.*.w1': 'ffn_gate.*',
  'block_sparse_moe.experts.*.w3': 'ffn_up.*',
  'block_sparse_moe.experts.*.w2': 'ffn_down.*',
};
const mlpMoe = {
  'mlp.gate': 'ffn_gate_inp',
  'mlp.experts.*.gate_proj': 'ffn_gate.*',
  'mlp.experts.*.up_proj': 'ffn_up.*',
  'mlp.experts.*.down_proj': 'ffn_down.*',
};

/** A norm before and behind each branch. */
const fourNorms = {
  ...attention,
  post_attention_layernorm: 'post_attention_norm',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

/** Writers of some families changed their minds about a name. */
const experts = (config: JsonReader): Entries => ({
  expert_count: u32(config.optionalCount('num_local_experts') ?? config.count('num_experts')),
  expert_used_count: u32(config.count('num_experts_per_tok')),
});

const GELU = 'gelu_pytorch_tanh';

const families: readonly Family[] = [
  {
    modelTypes: ['llama', 'mistral'],
    architecture: 'llama',
    pairsByTurns: true,
    layer: { ...attention, ...mlp },
  },
  {
    modelTypes: ['mixtral'],
    architecture: 'llama',
    pairsByTurns: true,
    layer: { ...attention, post_attention_layernorm: 'ffn_norm', ...sparseMoe },
    metadata: experts,
  },
  {
    modelTypes: ['arctic'],
    architecture: 'arctic',
    pairsByTurns: true,
    layer: {
      ...attention,
      residual_layernorm: 'ffn_norm',
      'residual_mlp.w1': 'ffn_gate',
      'residual_mlp.w3': 'ffn_up',
      'residual_mlp.w2': 'ffn_down',
      // Its name notwithstanding, the norm of what the layer was given, for the experts.
      post_attention_layernorm: 'ffn_norm_exps',
      ...sparseMoe,
    },
    metadata: (config) => {
      only(config, 'moe_layer_frequency', 1);
      only(config, 'parallel_attn_mlp_res', true);
      only(config, 'use_residual', true);
      return experts(config);
    },
  },
  {
    modelTypes: ['qwen2'],
    architecture: 'qwen2',
    pairsByTurns: false,
    layer: { ...attention, ...mlp },
    metadata: withoutWindow,
  },
  {
    modelTypes: ['qwen2_moe'],
    architecture: 'qwen2moe',
    pairsByTurns: false,
    layer: {
      ...attention,
      post_attention_layernorm: 'ffn_norm',
      ...mlpMoe,
      'mlp.shared_expert.gate_proj': 'ffn_gate_shexp',
      'mlp.shared_expert.up_proj': 'ffn_up_shexp',
      'mlp.shared_expert.down_proj': 'ffn_down_shexp',
      'mlp.shared_expert_gate': 'ffn_gate_inp_shexp',
    },
    metadata: (config) => {
      only(config, 'decoder_sparse_step', 1);
      only(config, 'norm_topk_prob', false);
      return {
        ...withoutWindow(config),
        ...experts(config),
        ...counts(config, {
          moe_intermediate_size: 'expert_feed_forward_length',
          shared_expert_intermediate_size: 'expert_shared_feed_forward_length',
        }),
      };
    },
  },
  {
    // q, k and v are one matrix in GGUF too, and gate over up. Its window is left out, as it is of a GGUF.
    modelTypes: ['phi3'],
    architecture: 'phi3',
    pairsByTurns: false,
    layer: {
      input_layernorm: 'attn_norm',
      'self_attn.qkv_proj': 'attn_qkv',
      'self_attn.o_proj': 'attn_output',
      post_attention_layernorm: 'ffn_norm',
      'mlp.gate_up_proj': 'ffn_up',
      'mlp.down_proj': 'ffn_down',
    },
  },
  {
    modelTypes: ['gemma2'],
    architecture: 'gemma2',
    pairsByTurns: false,
    normsLackOne: true,
    activation: GELU,
    layer: fourNorms,
    metadata: (config) => ({
      ...gemma(config, 46),
      ...cap(config, 'attn_logit_softcapping'),
      ...cap(config, 'final_logit_softcapping'),
    }),
  },
  {
    // Without eyes; of those that see, config.json is of two models.
    modelTypes: ['gemma3_text'],
    architecture: 'gemma3',
    pairsByTurns: false,
    normsLackOne: true,
    activation: GELU,
    layer: { ...fourNorms, ...queryNorms },
    metadata: (config) => {
      only(config, 'rope_local_base_freq', 10_000);
      only(config, 'sliding_window_pattern', 6);
      for (const key of ['attn_logit_softcapping', 'final_logit_softcapping', 'rope_parameters'])
        if ((config.get(key) ?? null) !== null) throw unsupported(key);
      return gemma(config, 62);
    },
  },
  {
    modelTypes: ['qwen3'],
    architecture: 'qwen3',
    pairsByTurns: false,
    layer: { ...attention, ...queryNorms, ...mlp },
    metadata: withoutWindow,
  },
  {
    modelTypes: ['olmoe'],
    architecture: 'olmoe',
    pairsByTurns: false,
    layer: { ...attention, ...queryNorms, post_attention_layernorm: 'ffn_norm', ...mlpMoe },
    metadata: (config) => {
      only(config, 'norm_topk_prob', false);
      if (config.get('clip_qkv') !== undefined) throw unsupported('clip_qkv');
      return experts(config);
    },
  },
  {
    modelTypes: ['qwen3_moe'],
    architecture: 'qwen3moe',
    pairsByTurns: false,
    layer: { ...attention, ...queryNorms, post_attention_layernorm: 'ffn_norm', ...mlpMoe },
    metadata: (config) => {
      only(config, 'decoder_sparse_step', 1);
      only(config, 'norm_topk_prob', true);
      return {
        ...withoutWindow(config),
        ...experts(config),
        ...counts(config, { moe_intermediate_size: 'expert_feed_forward_length' }),
      };
    },
  },
];

/** The row of a model's family. @throws {ModelError} `model/unsupported-architecture`: there is none. */
export function familyOf(config: JsonReader): Family {
  const modelType = config.string('model_type');
  const family = families.find(({ modelTypes }) => modelTypes.includes(modelType));
  if (family) return family;
  const known = families.flatMap(({ modelTypes }) => modelTypes).join(', ');
  throw new ModelError(
    'model/unsupported-architecture',
    `The model is a ${modelType}, which Floe can't read from safetensors yet.`,
    { remedy: `Take it as a GGUF. From safetensors Floe reads ${known}.`, details: { architecture: modelType } },
  );
}

/** Scores are scaled by the heads' width; of the largest model of a generation by the width they would have if they filled it. */
function gemma(config: JsonReader, nLayersOf27B: number): Entries {
  only(config, 'hidden_activation', GELU);
  const [modelDim, nHeads] = [config.count('hidden_size'), config.count('num_attention_heads')];
  const headDim = config.count('head_dim');
  const isLargest = config.count('num_hidden_layers') === nLayersOf27B;
  only(config, 'query_pre_attn_scalar', isLargest ? modelDim / nHeads : headDim);
  return counts(config, { sliding_window: 'attention.sliding_window' });
}

/** null says that there is none, which GGUF says by 0; left out, it is the family's. */
function cap(config: JsonReader, key: string): Entries {
  const isNull = config.entries().some(([name, value]) => name === key && value === null);
  return { [key]: f32(isNull ? 0 : config.optionalNumber(key)) };
}

function withoutWindow(config: JsonReader): Entries {
  only(config, 'use_sliding_window', false);
  return {};
}
