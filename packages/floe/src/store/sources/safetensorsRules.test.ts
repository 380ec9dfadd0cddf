/** What a folder of safetensors may not be: each is a typed error that names file, tensor or setting. */

import { randomGguf } from '@floe/testkit/randomModel';
import {
  rawSafetensors,
  type SafetensorsOptions,
  type StoredInput,
  safetensorsFile,
  safetensorsModel,
} from '@floe/testkit/safetensors';
import { describe, expect, it } from 'vitest';
import { testHost } from '../host.testing.ts';
import { openSource } from './index.ts';

const shape = { nLayers: 1, modelDim: 128, nHeads: 4, nKvHeads: 2, nVocab: 288, seed: 3, expertsApart: true } as const;
const llama = randomGguf({ ...shape, architecture: 'llama', ffDim: 128, type: 'F32' });
const moe = { expertDim: 128, nExperts: 2, nExpertsUsed: 2 };
const arctic = randomGguf({ ...shape, ...moe, architecture: 'arctic', type: 'F32' });

type Files = Map<string, Uint8Array>;
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const object = (files: Files, name: string) =>
  JSON.parse(new TextDecoder().decode(files.get(name))) as Record<string, never>;

function folder(own: SafetensorsOptions = {}, model = llama): Files {
  return safetensorsModel(model, own).files;
}

function open(files: Files) {
  const chosen = [...files].map(([name, bytes]) => new File([new Uint8Array(bytes)], name));
  return openSource(testHost(), chosen);
}

/** With other settings in config.json. */
function configured(own: Record<string, unknown>, files = folder()): Files {
  const config = { ...object(files, 'config.json'), ...own };
  return new Map([
    ...files,
    ['config.json', json(Object.fromEntries(Object.entries(config).filter(([, v]) => v !== undefined)))],
  ]);
}

/** With the tensors of `model.safetensors` changed. */
function stored(change: (tensors: StoredInput[]) => StoredInput[], own: SafetensorsOptions = {}): Files {
  const files = folder(own);
  const file = files.get('model.safetensors')!;
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const { __metadata__: _, ...header } = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  const tensors = Object.entries(
    header as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>,
  );
  const inputs = tensors.map(
    ([
      name,
      {
        dtype,
        shape: dims,
        data_offsets: [start, end],
      },
    ]) => {
      return { name, dtype, shape: dims, bytes: file.subarray(8 + length + start, 8 + length + end) };
    },
  );
  return new Map([...files, ['model.safetensors', safetensorsFile(change(inputs))]]);
}

const named = (name: string, own: (tensor: StoredInput) => Partial<StoredInput>) => (tensors: StoredInput[]) =>
  tensors.map((tensor) => (tensor.name === name ? { ...tensor, ...own(tensor) } : tensor));
const without =
  (...names: string[]) =>
  (files: Files) =>
    new Map([...files].filter(([name]) => !names.includes(name)));
const down = 'model.layers.0.mlp.down_proj';

describe('a folder without', () => {
  it.each<[string, Files, RegExp]>([
    ['tokenizer', without('tokenizer.json')(folder()), /has no tokenizer.json/],
    ['weights', without('model.safetensors')(folder()), /has no model.safetensors/],
    [
      'one of its shards',
      without('model-00002-of-00003.safetensors')(folder({ nShards: 3 })),
      /has no model-00002-of-00003/,
    ],
  ])('%s', async (_, files, message) => {
    await expect(open(files)).rejects.toMatchObject({
      code: 'safetensors/missing-file',
      message: expect.stringMatching(message),
    });
  });

  it('control: chat template and settings of the tokenizer may be missing', async () => {
    await (await open(without('tokenizer_config.json')(folder()))).close();
  });
});

describe('settings', () => {
  const longRope = (own: object) => {
    const factors = Array(16).fill(1.5);
    const base = { long_factor: factors, short_factor: factors, original_max_position_embeddings: 64 };
    return { type: 'longrope', ...base, ...own };
  };
  it.each<[Record<string, unknown>, string, RegExp]>([
    [{ model_type: 'falcon' }, 'model/unsupported-architecture', /falcon/],
    [{ model_type: undefined }, 'safetensors/invalid', /model_type is not there/],
    [{ hidden_act: 'relu2' }, 'model/unsupported-architecture', /hidden_act "relu2"/],
    [{ hidden_size: '128' }, 'safetensors/invalid', /hidden_size is .*whole number/],
    [{ num_attention_heads: 7 }, 'safetensors/invalid', /a divisor of hidden_size, 128/],
    [{ rms_norm_eps: undefined }, 'safetensors/invalid', /rms_norm_eps/],
    [{ partial_rotary_factor: 0.5 }, 'model/unsupported-architecture', /partial_rotary_factor/],
    [{ rope_scaling: { type: 'dynamic', factor: 2 } }, 'model/unsupported-architecture', /dynamic/],
    [{ rope_scaling: { rope_type: 'yarn', factor: 2, mscale: 1 } }, 'model/unsupported-architecture', /mscale/],
    [{ rope_scaling: longRope({ long_mscale: 1 }) }, 'model/unsupported-architecture', /long_mscale/],
    [{ rope_scaling: longRope({ short_factor: [1, 2] }) }, 'safetensors/invalid', /short_factor .*16 numbers/],
    [{ rope_scaling: { rope_type: 'linear' } }, 'safetensors/invalid', /rope_scaling.factor is not there/],
    [{ quantization_config: { weight_block_size: [128, 32] } }, 'safetensors/unsupported-type', /128 × 32/],
  ])('%j are refused', async (own, code, message) => {
    await expect(open(configured(own))).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('of Arctic that it was not published with are refused', async () => {
    for (const own of [{ moe_layer_frequency: 2 }, { parallel_attn_mlp_res: false }]) {
      const files = configured(own, folder({}, arctic));
      await expect(open(files)).rejects.toMatchObject({ code: 'model/unsupported-architecture' });
    }
  });

  it.each<[Record<string, unknown>, RegExp]>([
    [{ query_pre_attn_scalar: 224 }, /query_pre_attn_scalar 224/],
    [{ hidden_activation: 'gelu' }, /hidden_activation "gelu"/],
    [{ hidden_act: 'silu' }, /hidden_act "silu"/],
    [{ rope_local_base_freq: 20_000 }, /rope_local_base_freq 20000/],
    [{ sliding_window_pattern: 2 }, /sliding_window_pattern 2/],
    [{ rope_parameters: { full_attention: { rope_theta: 1e6 } } }, /rope_parameters/],
    [{ final_logit_softcapping: 30 }, /final_logit_softcapping/],
  ])('of Gemma 3 %j are refused', async (own, message) => {
    const gemma = randomGguf({ ...shape, architecture: 'gemma3', ffDim: 128, headDim: 48, type: 'F32' });
    await expect(open(configured(own, folder({}, gemma)))).rejects.toMatchObject({
      code: 'model/unsupported-architecture',
      message: expect.stringMatching(message),
    });
    await (await open(folder({}, gemma))).close();
  });

  it('a config.json that is no JSON is refused', async () => {
    const files = new Map([...folder(), ['config.json', new TextEncoder().encode('{"a": ')]]);
    await expect(open(files)).rejects.toMatchObject({
      code: 'safetensors/invalid',
      message: expect.stringMatching(/config.json/),
    });
  });
});

describe('tensors', () => {
  const scaled = (change: (tensors: StoredInput[]) => StoredInput[]) => stored(change, { scales: 'row' });
  const scale = `${down}.weight_scale`;
  it.each<[string, Files, string, RegExp]>([
    [
      'of no use',
      stored((all) => [...all, { name: 'model.vision.weight', dtype: 'F32', shape: [1], bytes: new Uint8Array(4) }]),
      'model/shape',
      /model.vision.weight/,
    ],
    [
      'of a kind Floe can’t run',
      stored(named(`${down}.weight`, ({ bytes }) => ({ dtype: 'I32', bytes }))),
      'safetensors/unsupported-type',
      /down_proj.weight" is I32/,
    ],
    [
      'of three dimensions',
      stored(named(`${down}.weight`, () => ({ shape: [2, 64, 128] }))),
      'safetensors/invalid',
      /2,64,128/,
    ],
    [
      'without embedding',
      stored((all) => all.filter(({ name }) => !name.includes('embed_tokens'))),
      'model/missing-tensor',
      /embed_tokens/,
    ],
    [
      'of q that are no whole heads',
      stored(named('model.layers.0.self_attn.q_proj.weight', () => ({ shape: [16, 1024] }))),
      'safetensors/invalid',
      /16 rows, no whole heads of 32/,
    ],
    [
      'in F8_E4M3 without a scale',
      scaled((all) => all.filter(({ name }) => name !== scale)),
      'safetensors/invalid',
      /down_proj.weight" .*no scale/,
    ],
    [
      'with two scales',
      scaled((all) => [
        ...all,
        { name: `${down}.weight_scale_inv`, dtype: 'F32', shape: [1], bytes: new Uint8Array(4) },
      ]),
      'safetensors/invalid',
      /two scales/,
    ],
    [
      'with scales of another shape',
      scaled(named(scale, () => ({ shape: [64, 2] }))),
      'safetensors/invalid',
      /weight_scale" is \[64,2\]/,
    ],
    [
      'with scales of whole numbers',
      scaled(named(scale, () => ({ dtype: 'I32' }))),
      'safetensors/unsupported-type',
      /I32/,
    ],
    [
      'whose scale has no weight',
      scaled((all) => all.filter(({ name }) => name !== `${down}.weight`)),
      'safetensors/invalid',
      /not there/,
    ],
    [
      'in BF16 with a scale',
      stored((all) => [...all, { name: scale, dtype: 'F32', shape: [1], bytes: new Uint8Array(4) }]),
      'safetensors/invalid',
      /weights that are F32/,
    ],
  ])('%s are refused', async (_, files, code, message) => {
    await expect(open(files)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('that are scales of activations, and old frequencies, are left out', async () => {
    const more = [
      'model.layers.0.mlp.down_proj.input_scale',
      'model.layers.0.self_attn.k_scale',
      'model.layers.0.self_attn.rotary_emb.inv_freq',
    ];
    const files = scaled((all) => [
      ...all,
      ...more.map((name) => ({ name, dtype: 'F32', shape: [1], bytes: new Uint8Array(4) })),
    ]);
    const [found, expected] = [await open(files), await open(folder({ scales: 'row' }))];
    expect(Buffer.compare(await found.read(0, found.sizeBytes), await expected.read(0, expected.sizeBytes))).toBe(0);
  });

  it('that are NaN are refused when they are read, where no format does it later', async () => {
    // Rows of 64 are no whole block.
    const parts = randomGguf({ ...shape, modelDim: 64, architecture: 'llama', ffDim: 128, type: 'F32' });
    const files = folder({ scales: 'tensor' }, parts);
    const file = files.get('model.safetensors')!;
    file[file.length - 1] = 0x7f;
    const source = await open(files);
    await expect(source.read(0, source.sizeBytes)).rejects.toMatchObject({
      code: 'safetensors/invalid',
      message: expect.stringMatching(/NaN/),
    });
  });
});

it('a file that is not what the index says is refused before a weight is read', async () => {
  const files = folder({ nShards: 2 });
  files.set('model-00001-of-00002.safetensors', rawSafetensors({}, []));
  await expect(open(files)).rejects.toMatchObject({
    code: 'safetensors/invalid',
    message: expect.stringMatching(/has no tensor/),
  });
});
