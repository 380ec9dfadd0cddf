/** Files written here are read by Floe's reader as they were meant, and by llama.cpp as the same model. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Gguf, parseHeader } from '../../floe/src/gguf/index.ts';
import { type FormatName, formatByName, formats } from '../../floe/src/quant/index.ts';
import { testData } from './data.ts';
import { encode } from './encode.ts';
import { klDivergence, nmse } from './expectNear.ts';
import { writeGguf } from './ggufWriter.ts';
import { openOracle } from './oracle.ts';
import { type RandomModelOptions, randomModel } from './randomModel.ts';
import { seeded } from './seeded.ts';

const folder = mkdtempSync(join(tmpdir(), 'floe-testkit-'));
afterAll(() => rmSync(folder, { recursive: true }));

const small = { nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, seed: 1, type: 'F32' } as const;
const models: Record<string, RandomModelOptions> = {
  arctic: { ...small, architecture: 'arctic', expertDim: 96, nExperts: 8, nExpertsUsed: 2 },
  llama: { ...small, architecture: 'llama', ffDim: 160 },
  'llama, tied, with RoPE frequencies': { ...small, architecture: 'llama', tied: true, ropeFreqs: true },
  mixtral: { ...small, architecture: 'llama', expertDim: 32, nExperts: 4, nExpertsUsed: 3 },
};

describe('encode', () => {
  // Largest errors of a weight in [-1, 1]: half a step of f16 and bf16 there; half a step of 1/127; Q4_0's clipped 15
  // is up to a step of 1/8 away. The scale's own rounding to f16 comes on top.
  const worstError: Record<FormatName, number> = {
    ...{ F32: 0, F16: 2 ** -12, BF16: 2 ** -9, Q8_0: 0.0045, Q4_0: 0.126 },
    // Of the others, what the plain encoders of encodeBlocks.ts reach.
    ...{ Q4_1: 0.07, Q5_0: 0.064, Q5_1: 0.034, Q2_K: 0.4, Q3_K: 0.3, Q4_K: 0.08, Q5_K: 0.05, Q6_K: 0.035 },
    ...{ IQ4_NL: 0.13, IQ4_XS: 0.15, MXFP4: 0.25, F8_E4M3: 0.036, TQ2_0: 0.5 },
  };
  it.each(formats.map(({ name }) => name))('%s keeps weights as near as it can', (name) => {
    const weights = seeded(3).uniforms(256 * 8, -1, 1);
    const decoded = formatByName(name).dequantize(encode(name, weights), weights.length);
    const worst = weights.reduce((max, weight, i) => Math.max(max, Math.abs(weight - decoded[i]!)), 0);
    expect(worst).toBeLessThanOrEqual(worstError[name]);
    // Control: were the bound much too wide, a coarser format would pass for this one.
    expect(worst).toBeGreaterThanOrEqual(worstError[name] / 2);
  });
  it.each(formats.map(({ name }) => name))('%s keeps a block of zeros', (name) => {
    const decoded = formatByName(name).dequantize(encode(name, new Float32Array(256)), 256);
    expect(decoded.every((weight) => weight === 0)).toBe(true);
  });
  it.each(['arctic-tiny-sql-q8_0.gguf', 'arctic-tiny-sql-q4_0.gguf'])('encodes as the writer of %s did', (name) => {
    const f32File = testData('arctic-tiny-sql-f32.gguf');
    if (!f32File) return;
    const [from, to] = [read(readFileSync(f32File)), read(readFileSync(testData(name)!))];
    for (const tensor of ['blk.1.ffn_down.weight', 'blk.0.ffn_up_exps.weight']) {
      const expected = to.bytesOf(tensor);
      const actual = encode(to.gguf.tensors.get(tensor)!.format!.name, from.weightsOf(tensor));
      // That one was numpy in float32, whose halves round to even, not away; such ties are rare.
      expect(actual.filter((byte, i) => byte !== expected[i]).length / actual.length).toBeLessThan(1e-4);
    }
  });
});

describe('writeGguf', () => {
  it('writes every kind of metadata as what it is', () => {
    const { gguf } = read(
      writeGguf({
        version: 2,
        metadata: {
          'general.architecture': 'x',
          count: 7,
          base: { f32: 1e4 },
          negative: { i32: -1 },
          big: { u64: 2n ** 40n },
          flag: true,
          texts: ['a', 'b'],
          scores: Float32Array.of(0.5),
          types: Int32Array.of(-1, 3),
        },
        tensors: [],
      }),
    );
    const types = Object.fromEntries(
      [...gguf.metadata.entries()].map(([key, { type, isArray }]) => [key, type + (isArray ? '[]' : '')]),
    );
    expect(gguf.version).toBe(2);
    expect(types).toEqual({
      'general.architecture': 'string',
      count: 'u32',
      base: 'f32',
      negative: 'i32',
      big: 'u64',
      flag: 'bool',
      texts: 'string[]',
      scores: 'f32[]',
      types: 'i32[]',
    });
    expect(gguf.metadata.f32('base')).toBe(1e4);
    expect(gguf.metadata.get('big')).toBe(2n ** 40n);
    expect(Array.from(gguf.metadata.integers('types'))).toEqual([-1, 3]);
  });
  it('refuses a number without a type and weights that are no whole matrix', () => {
    expect(() => writeGguf({ metadata: { k: 0.5 }, tensors: [] })).toThrow(/k: say the type/);
    const tensor = { name: 't', shape: [2, 3], type: 'F32', data: new Float32Array(5) } as const;
    expect(() => writeGguf({ metadata: {}, tensors: [tensor] })).toThrow(/t \[2, 3\] got 5/);
  });
});

describe.each(Object.entries(models))('randomModel: %s', (name, options) => {
  it('is the same for the same seed, and another for another', () => {
    const bytes = randomModel(options);
    // Compared as buffers: `toEqual` takes seconds for so many bytes.
    expect(Buffer.compare(randomModel(options), bytes)).toBe(0);
    expect(Buffer.compare(randomModel({ ...options, seed: 2 }), bytes)).not.toBe(0);
  });

  it('is read by Floe, weights and all', () => {
    const { gguf, weightsOf } = read(randomModel(options));
    expect(gguf.architecture).toBe(options.architecture);
    expect(gguf.tensors.get('blk.1.attn_k.weight')!.shape).toEqual([32, 64]);
    const norm = weightsOf('output_norm.weight');
    expect(norm.some((weight) => weight < 0.6) && norm.some((weight) => weight > 1.3)).toBe(true);
  });

  it('is run by llama.cpp, with logits that spread by about 2, and the same way every time', async () => {
    const oracle = await openRandom(name, options);
    const ids = Array.from(seeded(5).ints(24, 0, 255));
    const logprobs = await oracle.logprobs(ids);
    expect(logprobs.length).toBe(ids.length);
    for (const position of logprobs) {
      expect(position.length).toBe(options.nVocab);
      const total = position.reduce((sum, logprob) => sum + Math.exp(logprob), 0);
      expect(total).toBeCloseTo(1, 6);
      expect(deviation(position)).toBeGreaterThan(1);
      expect(deviation(position)).toBeLessThan(4);
    }
    expect((await oracle.logprobs(ids)).at(-1)).toEqual(logprobs.at(-1));
    // What stands before counts: the same last token behind another first one says something else.
    const changed = await oracle.logprobs([ids[0]! ^ 1, ...ids.slice(1)]);
    expect(klDivergence(logprobs.at(-1)!, changed.at(-1)!)).toBeGreaterThan(1e-5);
    await oracle.close();
  });

  it.each(['F16', 'BF16', 'Q8_0', 'Q4_0'] as const)(
    'llama.cpp reads its %s form as nearly the same model',
    async (type) => {
      const [plain, coarse] = [await openRandom(name, options), await openRandom(name, { ...options, type })];
      const ids = Array.from(seeded(6).ints(8, 0, 255));
      const [a, b] = [await plain.logprobs(ids), await coarse.logprobs(ids)];
      // The first token: no expert has been chosen differently by then in most files, so only rounding is seen.
      expect(nmse(b[0]!, a[0]!)).toBeLessThan({ F16: 1e-4, BF16: 1e-2, Q8_0: 1e-2, Q4_0: 0.5 }[type]);
      expect(nmse(b[0]!, a[0]!)).toBeGreaterThan(0);
      await Promise.all([plain.close(), coarse.close()]);
    },
  );
});

describe('openOracle', () => {
  it('tokenizes with control tokens on demand, and back', async () => {
    const oracle = await openRandom('arctic', models.arctic!);
    const text = '<|im_start|>user\nHello there, 日本 1024!<|im_end|>';
    const special = oracle.tokenize(text, { special: true });
    expect(special[0]).toBe(318);
    expect(special.at(-1)).toBe(319);
    expect(oracle.tokenize(text).length).toBeGreaterThan(special.length);
    expect(oracle.detokenize(special, { special: true })).toBe(text);
    await oracle.close();
  });
  it('opens a file without tensors for its vocabulary', async () => {
    const path = testData('gpt-2.gguf');
    if (!path) return;
    const oracle = await openOracle(path, { vocabOnly: true });
    expect(oracle.tokenize('Hello world')).toEqual([15496, 995]);
    await expect(oracle.logprobs([1])).rejects.toThrow(/vocabulary only/);
    await oracle.close();
  });
});

async function openRandom(name: string, options: RandomModelOptions) {
  const path = join(folder, `${name}-${options.type}.gguf`);
  writeFileSync(path, randomModel(options));
  return openOracle(path);
}

function read(bytes: Uint8Array): {
  gguf: Gguf;
  bytesOf: (name: string) => Uint8Array;
  weightsOf: (name: string) => Float64Array;
} {
  const result = parseHeader(bytes, bytes.length);
  if (result.kind !== 'done') throw new Error('the whole file was given');
  const { gguf } = result;
  const bytesOf = (name: string) => {
    const { offset, sizeBytes } = gguf.tensors.get(name)!;
    return bytes.subarray(offset, offset + sizeBytes);
  };
  const weightsOf = (name: string) => {
    const { format, nElements } = gguf.tensors.get(name)!;
    return format!.dequantize(bytesOf(name), nElements);
  };
  return { gguf, bytesOf, weightsOf };
}

function deviation(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
