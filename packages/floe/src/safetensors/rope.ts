/** RoPE in config.json, as GGUF's metadata and tensors. */
import { type Entries, f32, text, u32 } from './entries.ts';
import { unsupported } from './family.ts';
import type { JsonReader } from './json.ts';
import type { Recipe } from './recipe.ts';

/** `rope.*`, but for the width. @throws {ModelError} `model/unsupported-architecture`: a scaling Floe can't run. */
export function ropeEntries(config: JsonReader): Entries {
  const base = config.optionalNumber('rope_theta') ?? scalingOf(config)?.optionalNumber('rope_theta') ?? 10_000;
  return { 'rope.freq_base': f32(base), ...scalingEntries(config) };
}

/** `rope_scaling`, or as newer files have it `rope_parameters`. */
function scalingOf(config: JsonReader): JsonReader | undefined {
  return config.optionalObject('rope_scaling') ?? config.optionalObject('rope_parameters');
}

function kindOf(scaling: JsonReader | undefined): string {
  const kind = scaling?.optionalString('rope_type') ?? scaling?.optionalString('type') ?? 'default';
  // Its first name.
  return kind === 'su' ? 'longrope' : kind;
}

function scalingEntries(config: JsonReader): Entries {
  const scaling = scalingOf(config);
  const kind = kindOf(scaling);
  // Llama 3's is a tensor in GGUF.
  if (!scaling || kind === 'default' || kind === 'llama3') return {};
  if (kind === 'longrope') return longRopeEntries(config, scaling);
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

/** What each pair's frequency is divided by stands in tensors of its own in GGUF. */
function longRopeEntries(config: JsonReader, scaling: JsonReader): Entries {
  for (const key of ['short_mscale', 'long_mscale'])
    if (scaling.get(key) !== undefined) throw unsupported(`rope scaling with ${key}`);
  const nCtx = originalContext(config, scaling);
  const scale = config.count('max_position_embeddings') / nCtx;
  // Attention is sharpened by what more there is to see (Ding et al. 2024).
  const magnitude = scale <= 1 ? 1 : Math.sqrt(1 + Math.log(scale) / Math.log(nCtx));
  return {
    'rope.scaling.type': text('longrope'),
    'rope.scaling.original_context_length': u32(nCtx),
    'rope.scaling.attn_factor': f32(scaling.optionalNumber('attention_factor') ?? magnitude),
  };
}

function originalContext(config: JsonReader, scaling: JsonReader): number {
  const key = 'original_max_position_embeddings';
  return config.optionalCount(key) ?? scaling.count(key);
}

/** The tensors that rope's scaling is in GGUF, for heads of `headDim`. */
export function ropeRecipes(config: JsonReader, headDim: number): Recipe[] {
  const scaling = scalingOf(config);
  if (!scaling) return [];
  switch (kindOf(scaling)) {
    case 'llama3':
      return [divisorRecipe('rope_freqs', llama3Divisors(config, scaling, headDim))];
    case 'longrope':
      return (['long', 'short'] as const).map((which) =>
        divisorRecipe(`rope_factors_${which}`, longRopeDivisors(scaling, `${which}_factor`, headDim)),
      );
    default:
      return [];
  }
}

function divisorRecipe(stem: string, divisors: Float32Array): Recipe {
  const from = { kind: 'made', bytes: new Uint8Array(divisors.buffer) } as const;
  return { name: `${stem}.weight`, shape: [divisors.length], format: 'F32', from };
}

function longRopeDivisors(scaling: JsonReader, key: string, headDim: number): Float32Array {
  const divisors = scaling.optionalList(key) ?? [];
  if (divisors.length === headDim / 2 && divisors.every((one) => typeof one === 'number' && one > 0))
    return Float32Array.from(divisors as number[]);
  throw scaling.wrong(key, `${headDim / 2} numbers above 0, one for each pair of a head`);
}

/**
 * `rope_freqs.weight`, which stands for Llama 3.1's scaling: what each pair's frequency is divided by. Waves short beside
 * the context the model was trained with first stay, long ones become `factor` times as long, between them it goes over.
 */
function llama3Divisors(config: JsonReader, scaling: JsonReader, dim: number): Float32Array {
  const factor = scaling.number('factor');
  const [low, high] = [scaling.number('low_freq_factor'), scaling.number('high_freq_factor')];
  const nCtx = scaling.number('original_max_position_embeddings');
  const base = config.optionalNumber('rope_theta') ?? scaling.optionalNumber('rope_theta') ?? 10_000;
  return Float32Array.from({ length: dim / 2 }, (_, i) => {
    const waveLength = 2 * Math.PI * base ** ((2 * i) / dim);
    if (waveLength < nCtx / high) return 1;
    if (waveLength > nCtx / low) return factor;
    const smooth = (nCtx / waveLength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}
