/** config.json as GGUF's metadata. */
import { counts, type Entries, f32, text, u32 } from './entries.ts';
import { type Family, only } from './family.ts';
import type { JsonReader } from './json.ts';
import { ropeEntries } from './rope.ts';
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
