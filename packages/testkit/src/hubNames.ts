/** What hubs call GGUF's tensors and settings, by the modelling code there. */
import type { GgufInput, MetadataInput } from './ggufWriter.ts';

const attention = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
};
const mlp = {
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};
const moe = (router: string, experts: string, [gate, up, down]: readonly [string, string, string]) => ({
  ffn_gate_inp: router,
  'ffn_gate.E': `${experts}.E.${gate}`,
  'ffn_up.E': `${experts}.E.${up}`,
  'ffn_down.E': `${experts}.E.${down}`,
});
const mlpMoe = moe('mlp.gate', 'mlp.experts', ['gate_proj', 'up_proj', 'down_proj']);
const mixtralMoe = moe('block_sparse_moe.gate', 'block_sparse_moe.experts', ['w1', 'w3', 'w2']);

const gemmaLayer = {
  ...attention,
  ...mlp,
  post_attention_norm: 'post_attention_layernorm',
  ffn_norm: 'pre_feedforward_layernorm',
  post_ffw_norm: 'post_feedforward_layernorm',
};

const layers: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  llama: { ...attention, ...mlp },
  mixtral: { ...attention, ffn_norm: 'post_attention_layernorm', ...mixtralMoe },
  arctic: {
    ...attention,
    ffn_norm: 'residual_layernorm',
    ffn_gate: 'residual_mlp.w1',
    ffn_up: 'residual_mlp.w3',
    ffn_down: 'residual_mlp.w2',
    ffn_norm_exps: 'post_attention_layernorm',
    ...mixtralMoe,
  },
  qwen2: { ...attention, ...mlp },
  qwen2_moe: {
    ...attention,
    ffn_norm: 'post_attention_layernorm',
    ...mlpMoe,
    ffn_gate_shexp: 'mlp.shared_expert.gate_proj',
    ffn_up_shexp: 'mlp.shared_expert.up_proj',
    ffn_down_shexp: 'mlp.shared_expert.down_proj',
    ffn_gate_inp_shexp: 'mlp.shared_expert_gate',
  },
  phi3: {
    attn_norm: 'input_layernorm',
    attn_qkv: 'self_attn.qkv_proj',
    attn_output: 'self_attn.o_proj',
    ffn_norm: 'post_attention_layernorm',
    ffn_up: 'mlp.gate_up_proj',
    ffn_down: 'mlp.down_proj',
  },
  gemma2: gemmaLayer,
  gemma3_text: gemmaLayer,
  qwen3: { ...attention, ...mlp },
  olmoe: { ...attention, ffn_norm: 'post_attention_layernorm', ...mlpMoe },
  qwen3_moe: {
    ...attention,
    ffn_norm: 'post_attention_layernorm',
    ...mlpMoe,
  },
};
const globals: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};

/** A tensor's name in config's family, and the rows of a head where its halves come apart. */
export function hubName(
  gguf: string,
  config: Readonly<Record<string, unknown>>,
): { name: string; headRows: number | null } {
  const modelType = String(config.model_type);
  const [, layer, , suffix] = /^blk\.(\d+)\.(.*)\.(weight|bias)$/.exec(gguf) ?? [];
  if (layer === undefined) {
    const [stem, end] = gguf.split('.') as [string, string];
    return { name: `${globals[stem]}.${end}`, headRows: null };
  }
  const [, stem = '', expert] = /^blk\.\d+\.([a-z_]+)(?:\.(\d+))?\./.exec(gguf) ?? [];
  const module = layers[modelType]![expert === undefined ? stem : `${stem}.E`];
  if (module === undefined) throw new Error(`${modelType} has no ${gguf}`);
  const turns = ['llama', 'mixtral', 'arctic'].includes(modelType) && /^attn_[qk]$/.test(stem);
  const headDim = Number(config.head_dim ?? Number(config.hidden_size) / Number(config.num_attention_heads));
  return {
    name: `model.layers.${layer}.${module.replace('.E.', `.${expert}.`)}.${suffix}`,
    headRows: turns ? headDim : null,
  };
}

/** config.json. */
export function hubConfig({ metadata, tensors }: GgufInput): Record<string, unknown> {
  const architecture = String(metadata['general.architecture']);
  const of = (key: string): unknown => plain(metadata[`${architecture}.${key}`]);
  const hasExperts = of('expert_count') !== undefined;
  const modelType =
    architecture === 'llama' && hasExperts
      ? 'mixtral'
      : architecture.replace(/^(qwen[23])moe$/, '$1_moe').replace('gemma3', 'gemma3_text');
  const isGemma = architecture.startsWith('gemma');
  const config: Record<string, unknown> = {
    model_type: modelType,
    hidden_act: isGemma ? 'gelu_pytorch_tanh' : 'silu',
    vocab_size: of('vocab_size'),
    max_position_embeddings: of('context_length'),
    hidden_size: of('embedding_length'),
    num_hidden_layers: of('block_count'),
    intermediate_size: of('feed_forward_length'),
    num_attention_heads: of('attention.head_count'),
    num_key_value_heads: of('attention.head_count_kv'),
    rms_norm_eps: of('attention.layer_norm_rms_epsilon'),
    rope_theta: of('rope.freq_base'),
    head_dim: of('attention.key_length'),
    ...longRope(of, tensors),
    tie_word_embeddings: !tensors.some(({ name }) => name === 'output.weight'),
    sliding_window: of('attention.sliding_window') ?? null,
    [/^qwen|^olmoe/.test(modelType) ? 'num_experts' : 'num_local_experts']: of('expert_count'),
    num_experts_per_tok: of('expert_used_count'),
    moe_intermediate_size: of('expert_feed_forward_length'),
    shared_expert_intermediate_size: of('expert_shared_feed_forward_length'),
    bos_token_id: plain(metadata['tokenizer.ggml.bos_token_id']),
    eos_token_id: plain(metadata['tokenizer.ggml.eos_token_id']),
    ...(modelType === 'arctic' ? { moe_layer_frequency: 1, parallel_attn_mlp_res: true, use_residual: true } : {}),
    ...(modelType === 'olmoe' ? { norm_topk_prob: false, clip_qkv: null } : {}),
    ...(isGemma ? { hidden_activation: 'gelu_pytorch_tanh', query_pre_attn_scalar: of('attention.key_length') } : {}),
    attn_logit_softcapping: of('attn_logit_softcapping'),
    final_logit_softcapping: of('final_logit_softcapping'),
    ...(modelType === 'qwen2_moe' ? { decoder_sparse_step: 1, norm_topk_prob: false } : {}),
    ...(modelType === 'qwen3_moe' ? { decoder_sparse_step: 1, norm_topk_prob: true } : {}),
  };
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}

/** Its factors stand in the configuration, not among the weights. */
function longRope(of: (key: string) => unknown, tensors: GgufInput['tensors']): Record<string, unknown> {
  if (of('rope.scaling.type') !== 'longrope') return {};
  const factors = (which: string) => [...tensors.find(({ name }) => name === `rope_factors_${which}.weight`)!.data];
  return {
    rope_scaling: { type: 'longrope', long_factor: factors('long'), short_factor: factors('short') },
    original_max_position_embeddings: of('rope.scaling.original_context_length'),
  };
}

function plain(value: MetadataInput | undefined): unknown {
  return typeof value === 'object' && 'f32' in value ? value.f32 : value;
}
