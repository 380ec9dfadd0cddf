/** config.json as GGUF's metadata. */
import { counts, type Entries, f32, text, u32 } from './entries.ts';
import { type Family, only, unsupported } from './families.ts';
import type { JsonReader } from './json.ts';
import type { Recipe } from './recipe.ts';
import { checkBlock, DEFAULT_BLOCK } from './scales.ts';

const COMMON: Readonly<Record<string, string>> = {
  vocab_size: 'vocab_size',
  max_position_embeddings: 'context_length',
  hidden_size: 'embedding_length',
  num_hidden_layers: 'block_count',
  intermediate_size: 'feed_forward_length',
  num_attention_heads: 'attention.head_count',
  num_key_value_heads: 'attention.head_count_kv',
};

/** What config.json says, under GGUF's keys. */
export function configEntries(config: JsonReader, family: Family): Entries {
  only(config, 'hidden_act', family.activation ?? 'silu');
  only(config, 'partial_rotary_factor', 1);
  const { architecture } = family;
  const headDim = headDimOf(config);
  const entries: Entries = {
    ...counts(config, COMMON),
    'attention.layer_norm_rms_epsilon': f32(config.number('rms_norm_eps')),
    'rope.dimension_count': u32(headDim),
    ...(config.get('head_dim') === undefined
      ? {}
      : { 'attention.key_length': u32(headDim), 'attention.value_length': u32(headDim) }),
    ...ropeEntries(config),
    ...family.metadata?.(config),
  };
  return {
    'general.architecture': text(architecture),
    ...Object.fromEntries(Object.entries(entries).map(([key, entry]) => [`${architecture}.${key}`, entry])),
  };
}

/** Of a query and a key. */
export function headDimOf(config: JsonReader): number {
  const own = config.optionalCount('head_dim');
  if (own !== undefined) return own;
  const [modelDim, nHeads] = [config.count('hidden_size'), config.count('num_attention_heads')];
  if (nHeads > 0 && modelDim % nHeads === 0) return modelDim / nHeads;
  throw config.wrong('num_attention_heads', `a divisor of hidden_size, ${modelDim}`);
}

/** Whether the embedding matrix serves as output. */
export function isTied(config: JsonReader): boolean {
  return config.optionalBool('tie_word_embeddings') ?? false;
}

function ropeEntries(config: JsonReader): Entries {
  const base = config.optionalNumber('rope_theta') ?? scalingOf(config)?.optionalNumber('rope_theta') ?? 10_000;
  return { 'rope.freq_base': f32(base), ...scalingEntries(config) };
}

/** `rope_scaling`, or as newer files have it `rope_parameters`. */
function scalingOf(config: JsonReader): JsonReader | undefined {
  return config.optionalObject('rope_scaling') ?? config.optionalObject('rope_parameters');
}

function kindOf(scaling: JsonReader | undefined): string {
  return scaling?.optionalString('rope_type') ?? scaling?.optionalString('type') ?? 'default';
}

function scalingEntries(config: JsonReader): Entries {
  const scaling = scalingOf(config);
  const kind = kindOf(scaling);
  // Llama 3's is a tensor in GGUF.
  if (!scaling || kind === 'default' || kind === 'llama3') return {};
  if (kind !== 'linear' && kind !== 'yarn') throw unsupported(`rope scaling of type ${kind}`);
  const factor = { 'rope.scaling.type': text(kind), 'rope.scaling.factor': f32(scaling.number('factor')) };
  if (kind === 'linear') return factor;
  for (const key of ['mscale', 'mscale_all_dim', 'attention_factor']) {
    if (scaling.get(key) !== undefined) throw unsupported(`rope scaling with ${key}`);
  }
  return {
    ...factor,
    'rope.scaling.original_context_length': u32(scaling.optionalCount('original_max_position_embeddings')),
    'rope.scaling.yarn_beta_fast': f32(scaling.optionalNumber('beta_fast')),
    'rope.scaling.yarn_beta_slow': f32(scaling.optionalNumber('beta_slow')),
  };
}

/**
 * `rope_freqs.weight`, which stands for Llama 3.1's scaling: what each pair's frequency is divided by. Waves short beside
 * the context the model was trained with first stay, long ones become `factor` times as long, between them it goes over.
 */
export function ropeFreqs(config: JsonReader): Recipe | null {
  const scaling = scalingOf(config);
  if (!scaling || kindOf(scaling) !== 'llama3') return null;
  const factor = scaling.number('factor');
  const [low, high] = [scaling.number('low_freq_factor'), scaling.number('high_freq_factor')];
  const nCtx = scaling.number('original_max_position_embeddings');
  const base = config.optionalNumber('rope_theta') ?? scaling.optionalNumber('rope_theta') ?? 10_000;
  const dim = headDimOf(config);
  const divisors = Float32Array.from({ length: dim / 2 }, (_, i) => {
    const waveLength = 2 * Math.PI * base ** ((2 * i) / dim);
    if (waveLength < nCtx / high) return 1;
    if (waveLength > nCtx / low) return factor;
    const smooth = (nCtx / waveLength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
  const from = { kind: 'made', bytes: new Uint8Array(divisors.buffer) } as const;
  return { name: 'rope_freqs.weight', shape: [divisors.length], format: 'F32', from };
}

/** How many rows and elements share a scale, where scales are of blocks. */
export function scaleBlock(config: JsonReader): readonly [number, number] {
  const quantization = config.optionalObject('quantization_config');
  const own = quantization?.optionalList('weight_block_size');
  if (own) return checkBlock(own.map(Number));
  for (const [name] of quantization?.optionalObject('config_groups')?.entries() ?? []) {
    const weights = quantization!.object('config_groups').object(name).optionalObject('weights');
    const block = weights?.optionalList('block_structure');
    if (block) return checkBlock(block.map(Number));
  }
  return DEFAULT_BLOCK;
}
