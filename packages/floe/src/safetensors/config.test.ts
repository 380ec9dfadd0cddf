/** Settings that become metadata, and shapes by which scales are known. */
import { describe, expect, it } from 'vitest';
import { configEntries, scaleBlock } from './config.ts';
import { familyOf } from './families.ts';
import { parseObject } from './json.ts';
import type { Recipe } from './recipe.ts';
import { ropeRecipes } from './rope.ts';
import { scalesOf } from './scales.ts';
import type { PlacedTensor } from './shards.ts';

const llama = {
  model_type: 'llama',
  hidden_size: 4096,
  num_hidden_layers: 32,
  intermediate_size: 14336,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  max_position_embeddings: 131072,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
};
const configOf = (own: object) =>
  parseObject('config.json', new TextEncoder().encode(JSON.stringify({ ...llama, ...own })));
const entriesOf = (own: object) => {
  const config = configOf(own);
  const entries = Object.entries(configEntries(config, familyOf(config)));
  return Object.fromEntries(entries.flatMap(([key, entry]) => (entry ? [[key, entry.value]] : [])));
};

describe('config.json', () => {
  it('of Llama 3.1 is what its GGUF says', () => {
    expect(entriesOf({})).toEqual({
      'general.architecture': 'llama',
      'llama.context_length': 131072,
      'llama.embedding_length': 4096,
      'llama.block_count': 32,
      'llama.feed_forward_length': 14336,
      'llama.attention.head_count': 32,
      'llama.attention.head_count_kv': 8,
      'llama.attention.layer_norm_rms_epsilon': 1e-5,
      'llama.rope.dimension_count': 128,
      'llama.rope.freq_base': 500000,
    });
  });

  it('of newer transformers has its rope in one object', () => {
    const own = { rope_theta: undefined, rope_parameters: { rope_type: 'default', rope_theta: 1e6 } };
    expect(entriesOf(own)['llama.rope.freq_base']).toBe(1e6);
    expect(ropeRecipes(configOf(own), 128)).toEqual([]);
  });

  it('scales by linear and YaRN under GGUF’s keys', () => {
    expect(entriesOf({ rope_scaling: { type: 'linear', factor: 4 } })).toMatchObject({
      'llama.rope.scaling.type': 'linear',
      'llama.rope.scaling.factor': 4,
    });
    const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 32768, beta_fast: 16 };
    expect(entriesOf({ rope_scaling: yarn })).toMatchObject({
      'llama.rope.scaling.type': 'yarn',
      'llama.rope.scaling.factor': 4,
      'llama.rope.scaling.original_context_length': 32768,
      'llama.rope.scaling.yarn_beta_fast': 16,
    });
  });

  it('scales Llama 3.1 by divisors: new frequency = old / divisor, by its published formula', () => {
    const rope_scaling = {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    };
    const [recipe] = ropeRecipes(configOf({ rope_scaling }), 128) as [Recipe];
    expect(recipe).toMatchObject({ name: 'rope_freqs.weight', shape: [64], format: 'F32' });
    const divisors = recipe.from.kind === 'made' ? new Float32Array(recipe.from.bytes.slice().buffer) : [];
    const kinds = { short: 0, between: 0, long: 0 };
    for (const [i, divisor] of divisors.entries()) {
      const old = 500000 ** (-i / 64);
      const waveLength = (2 * Math.PI) / old;
      const smooth = (8192 / waveLength - 1) / 3;
      const kind = waveLength < 2048 ? 'short' : waveLength > 8192 ? 'long' : 'between';
      const scaled = { short: old, long: old / 8, between: ((1 - smooth) * old) / 8 + smooth * old }[kind];
      kinds[kind]++;
      expect(old / divisor / scaled, `pair ${i}`).toBeCloseTo(1, 6);
    }
    expect(Math.min(...Object.values(kinds))).toBeGreaterThan(3);
  });
});

describe('a scale', () => {
  const tensor = (name: string, ...shape: number[]): PlacedTensor => {
    return { name, dtype: 'F32', shape, offset: 0, sizeBytes: 0, shard: 0 };
  };
  const weight = tensor('w', 300, 640);
  it.each([
    [[], 300, 640],
    [[1], 300, 640],
    [[1, 1], 300, 640],
    [[300], 1, 640],
    [[300, 1], 1, 640],
    [[3, 5], 128, 128],
  ])('of shape %j is of %i × %i weights', (shape, rows, elements) => {
    expect(scalesOf(weight, tensor('s', ...shape), [128, 128])).toMatchObject({ rows, elements });
  });
  it.each([
    [{}, [128, 128]],
    [{ quantization_config: { weight_block_size: [64, 256] } }, [64, 256]],
    [{ quantization_config: { config_groups: { group_0: { weights: { block_structure: [128, 384] } } } } }, [128, 384]],
    [{ quantization_config: { config_groups: { group_0: { weights: { strategy: 'channel' } } } } }, [128, 128]],
  ])('of a block is of as many weights as %j says', (own, block) => {
    expect(scaleBlock(configOf(own))).toEqual(block);
  });

  it.each([[[5, 3]], [[640]], [[1, 640]], [[3, 5, 1]], [[2, 5]], [[0]]])('of shape %j is of none', (shape) => {
    expect(() => scalesOf(weight, tensor('s', ...shape), [128, 128])).toThrow(
      expect.objectContaining({ code: 'safetensors/invalid' }),
    );
  });
});
