/** Vectors of texts against llama.cpp, an engine we did not write, on the same random files. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addAdapters } from '@floe/testkit/floeAnswers';
import { testGpu } from '@floe/testkit/nodeGpu';
import { openOracle } from '@floe/testkit/oracle';
import { mergedModel, randomAdapter } from '@floe/testkit/randomAdapter';
import { type RandomModelOptions, randomModel } from '@floe/testkit/randomModel';
import { readmePath, readmeWith } from '@floe/testkit/readme';
import { seeded } from '@floe/testkit/seeded';
import { beforeAll, describe, expect, it } from 'vitest';
import { readGguf } from '../gguf/index.ts';
import { type Device, openDevice } from '../gpu/index.ts';
import { placeModel, planModel } from '../model/index.ts';
import { packRecord } from '../store/index.ts';
import { Encoder } from './encoder.ts';
import { pooled, unitVector } from './pooling.ts';

const folder = mkdtempSync(join(tmpdir(), 'floe-encoders-'));
const random = seeded('encoders');
let device: Device;
beforeAll(async () => {
  device = await openDevice(testGpu());
});

const POOLINGS = { mean: 1, cls: 2, last: 3 } as const;
type PoolingName = keyof typeof POOLINGS;
const small = {
  nLayers: 2,
  modelDim: 64,
  nHeads: 4,
  nKvHeads: 4,
  ffDim: 96,
  nVocab: 320,
  nCtxTrain: 62,
  seed: 7,
} as const;
/** CLS and SEP, which llama.cpp would add. */
const [CLS, SEP] = [2, 3];
/** XLM-RoBERTa's. */
const [BOS, EOS] = [0, 2];
const inner = (n: number) => Array.from({ length: n }, () => random.int(5, 319));
/** The shortest, a question, and the longest, which is two chunks below. */
const inners = [0, 7, 60].map(inner);
const textsIn = ([first, last]: readonly [number, number] = [CLS, SEP]) => inners.map((ids) => [first, ...ids, last]);

interface EncoderCase {
  readonly name: string;
  readonly models: string;
  readonly options: Omit<RandomModelOptions, 'type'>;
  readonly poolings: readonly PoolingName[];
  /** What stands around a text; by itself CLS and SEP. */
  readonly around?: readonly [first: number, last: number];
}

const cases: readonly EncoderCase[] = [
  {
    name: 'bert',
    models: 'BERT: Arctic Embed xs, s, m, l',
    options: { ...small, architecture: 'bert' },
    poolings: ['mean', 'cls', 'last'],
  },
  {
    name: 'bert, Unigram',
    models: 'XLM-RoBERTa: Arctic Embed l-v2.0',
    options: { ...small, architecture: 'bert', tokenizer: 't5', seed: 8 },
    poolings: ['cls'],
    around: [BOS, EOS],
  },
  {
    name: 'nomic-bert',
    models: 'nomic-embed-text: Arctic Embed m-long',
    options: { ...small, architecture: 'nomic-bert', ropeBase: 1000 },
    poolings: ['mean', 'cls'],
  },
  // A decoder whose file names a pooling: its tokens see no farther than themselves.
  {
    name: 'qwen3, causal',
    models: 'Qwen3-Embedding',
    options: { ...small, architecture: 'qwen3' },
    poolings: ['last'],
  },
];

const fileOf = (options: Omit<RandomModelOptions, 'type'>, pooling: PoolingName, type: 'F32' | 'Q8_0' = 'F32') =>
  randomModel({ ...options, type, metadata: { pooling_type: POOLINGS[pooling] } });

async function encoderOf(bytes: Uint8Array, chunkTokens?: number) {
  const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const plan = planModel(await readGguf({ sizeBytes: bytes.length, read }));
  const placed = await placeModel(device, plan, { read: (record) => packRecord(record, read) });
  return { placed, encoder: new Encoder(device, placed, plan.shape.nCtxTrain, chunkTokens) };
}

async function floeVectors(
  bytes: Uint8Array,
  ids: readonly (readonly number[])[],
  chunkTokens?: number,
): Promise<Float32Array[]> {
  const { encoder } = await encoderOf(bytes, chunkTokens);
  const vectors: Float32Array[] = [];
  for (const text of ids) vectors.push(await encoder.embed(text, () => {}));
  await encoder.destroy();
  return vectors;
}

async function oracleVectors(bytes: Uint8Array, texts: readonly (readonly number[])[]): Promise<Float64Array[]> {
  const path = join(folder, 'model.gguf');
  writeFileSync(path, bytes);
  const oracle = await openOracle(path, { vectors: true, nCtx: small.nCtxTrain });
  const vectors: Float64Array[] = [];
  for (const text of texts) vectors.push(await oracle.vector(text));
  await oracle.close();
  return vectors;
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [one, other] = [unitVector(a), unitVector(b)];
  return one.reduce((sum, value, i) => sum + value * other[i]!, 0);
}

/** Cases that passed, by what was checked. */
const passed = { F32: new Map<string, string[]>(), Q8_0: new Set<string>() };

describe.each(cases)('$name makes the vectors that llama.cpp does', ({ name, options, poolings, around }) => {
  const texts = textsIn(around);

  it.each(poolings)('F32, %s: a cosine of 0.9999 or more, whole and in chunks, of length 1', async (pooling) => {
    const bytes = fileOf(options, pooling);
    const theirs = await oracleVectors(bytes, texts);
    const [whole, inChunks] = [await floeVectors(bytes, texts), await floeVectors(bytes, texts, 32)];
    for (const [i, vector] of theirs.entries()) {
      expect(cosine(whole[i]!, vector), `text ${i}`).toBeGreaterThanOrEqual(0.9999);
      expect(cosine(inChunks[i]!, vector), `text ${i} in chunks`).toBeGreaterThanOrEqual(0.9999);
      expect(Math.hypot(...whole[i]!)).toBeCloseTo(1, 6);
    }
    // Controls: another text's vector, and another pooling's, are not it.
    expect(cosine(whole[1]!, theirs[2]!)).toBeLessThan(0.99);
    const other = pooling === 'cls' ? 'mean' : 'cls';
    expect(cosine((await floeVectors(fileOf(options, other), [texts[2]!]))[0]!, theirs[2]!)).toBeLessThan(0.99);
    passed.F32.set(name, [...(passed.F32.get(name) ?? []), pooling]);
  });

  it('Q8_0: 0.999 or more, for llama.cpp rounds activations', async () => {
    const bytes = fileOf(options, poolings[0]!, 'Q8_0');
    const theirs = await oracleVectors(bytes, texts);
    for (const [i, vector] of (await floeVectors(bytes, texts)).entries())
      expect(cosine(vector, theirs[i]!), `text ${i}`).toBeGreaterThanOrEqual(0.999);
    passed.Q8_0.add(name);
  });
});

it('an adapter turns vectors as its products, put into the weights, do; removed, they are what they were', async () => {
  const options = { ...cases[0]!.options, type: 'F32', metadata: { pooling_type: POOLINGS.cls } } as const;
  const lora = { seed: 3, rank: 4, alpha: 4 };
  const text = textsIn()[1]!;
  const [plain] = await floeVectors(randomModel(options), [text]);
  const [merged] = await floeVectors(mergedModel(options, lora), [text]);
  const { encoder, placed } = await encoderOf(randomModel(options));
  const made = [await encoder.embed(text, () => {})];
  const [adapter] = await addAdapters(device, placed, 'bert', [{ bytes: randomAdapter(options, lora), scale: 1 }]);
  await encoder.adaptersChanged();
  made.push(await encoder.embed(text, () => {}));
  placed.adapters.remove(adapter!);
  await encoder.adaptersChanged();
  made.push(await encoder.embed(text, () => {}));
  await encoder.destroy();
  expect(made[0]).toEqual(plain);
  expect(cosine(made[1]!, merged!)).toBeGreaterThan(0.99999);
  expect(cosine(made[1]!, plain!)).toBeLessThan(0.99);
  expect(made[2]).toEqual(plain);
});

it('refuses a text longer than the model sees, and takes one as long', async () => {
  const bytes = fileOf(cases[0]!.options, 'cls');
  const [vector] = await floeVectors(bytes, [[CLS, ...inner(60), SEP]]);
  expect(vector).toHaveLength(64);
  await expect(floeVectors(bytes, [[CLS, ...inner(61), SEP]])).rejects.toMatchObject({
    code: 'context/full',
    details: { neededTokens: 63, window: 62 },
  });
});

it('a file whose tokens see ahead must name its pooling', async () => {
  const bytes = randomModel({ ...cases[0]!.options, type: 'F32', metadata: { pooling_type: 0 } });
  await expect(floeVectors(bytes, [])).rejects.toMatchObject({ code: 'model/unsupported-architecture' });
});

it('pools rows in pieces, and refuses what has no direction', async () => {
  const [nRows, dim, stride] = [1100, 3, 4];
  const values = random.normals(nRows * stride);
  const readRows = async (first: number, n: number) => values.subarray(first * stride, (first + n) * stride);
  const rows = { nRows, dim, stride, readRows };
  const column = (i: number) => Array.from({ length: nRows }, (_, row) => values[row * stride + i]!);
  const mean = await pooled('mean', rows);
  for (let i = 0; i < dim; i++) expect(mean[i]).toBeCloseTo(column(i).reduce((a, b) => a + b) / nRows, 9);
  expect([...(await pooled('cls', rows))]).toEqual([...values.subarray(0, dim)]);
  expect([...(await pooled('last', rows))]).toEqual([...values.subarray((nRows - 1) * stride, nRows * stride - 1)]);
  for (const bad of [
    [0, 0],
    [Number.NaN, 1],
    [Number.POSITIVE_INFINITY, 1],
  ])
    expect(() => unitVector(bad)).toThrow(expect.objectContaining({ code: 'numeric/not-finite' }));
});

/** `pnpm unit packages/floe/src/generate/encoder.test.ts -u` writes it. */
it('the README has a row for each family that was checked above, and no other', async () => {
  const table = [
    '| architecture | models | F32: cosine ≥ 0.9999, of pooling | Q8_0: cosine ≥ 0.999 |',
    '|---|---|---|---|',
    ...cases.map(({ name, models }) => {
      const poolings = passed.F32.get(name)?.join(', ') ?? 'no';
      return `| ${name} | ${models} | ${poolings} | ${passed.Q8_0.has(name) ? 'yes' : 'no'} |`;
    }),
  ];
  await expect(readmeWith('encoders', table)).toMatchFileSnapshot(readmePath);
});
