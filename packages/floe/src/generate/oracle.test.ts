/** Whole models against llama.cpp, an engine we did not write, on the same files. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { testData } from '@floe/testkit/data';
import { chatPrompts } from '@floe/testkit/evalChats';
import { logSoftmax } from '@floe/testkit/expectNear';
import { type Agreement, agreement } from '@floe/testkit/floeAnswers';
import { testGpu } from '@floe/testkit/nodeGpu';
import { openOracle } from '@floe/testkit/oracle';
import { type RandomModelOptions, randomModel } from '@floe/testkit/randomModel';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { readGguf } from '../gguf/index.ts';
import { type DeviceOptions, openDevice } from '../gpu/index.ts';
import { systemClock } from '../host/index.ts';
import { type PlaceOptions, placeModel, planModel } from '../model/index.ts';
import { packRecord } from '../store/index.ts';
import { Engine } from './index.ts';

const root = resolve(import.meta.dirname, '../../../..');

/** Log-probabilities [ids.length][nVocab] of each prompt, by Floe. */
async function floeLogprobs(
  bytes: Uint8Array,
  prompts: readonly (readonly number[])[],
  options: PlaceOptions & DeviceOptions = {},
): Promise<Float64Array[][]> {
  const device = await openDevice(testGpu(), options);
  const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const plan = planModel(await readGguf({ sizeBytes: bytes.length, read }));
  const placed = await placeModel(device, plan, { read: (record) => packRecord(record, read) }, options);
  const engine = new Engine(device, placed, Math.min(plan.shape.nCtxTrain, 256), systemClock);
  const conversation = engine.open();
  const all: Float64Array[][] = [];
  for (const ids of prompts) {
    conversation.rewind(0);
    const rows: Float64Array[] = [];
    for await (const logits of conversation.logits(ids, () => {})) rows.push(logSoftmax(logits));
    all.push(rows);
  }
  device.throwIfFailed();
  await engine.destroy();
  device.destroy();
  return all;
}

async function compare(
  path: string,
  prompts: readonly (readonly number[])[],
  options: DeviceOptions = {},
): Promise<Agreement> {
  const oracle = await openOracle(path);
  const theirs: Float64Array[] = [];
  for (const ids of prompts) theirs.push(...(await oracle.logprobs(ids)));
  await oracle.close();
  return agreement((await floeLogprobs(readFileSync(path), prompts, options)).flat(), theirs);
}

describe('arctic-tiny agrees with llama.cpp', () => {
  const f32 = testData('arctic-tiny-sql-f32.gguf');
  it.skipIf(!f32)(
    'F32, 20 prompts: top-20 log-probabilities within 2e-3, every top-1',
    async () => {
      const found = await compare(f32!, await chatPrompts(f32!, 20));
      expect(found.maxError).toBeLessThan(2e-3);
      expect(found.top1).toBe(1);
    },
    240_000,
  );

  // llama.cpp rounds activations to 8 bits beside quantized weights; Floe does not: hence a divergence, not an error.
  it.each([
    { name: 'tiny Q8_0', path: testData('arctic-tiny-sql-q8_0.gguf')!, set: 'eval.jsonl' },
    { name: 'tiny Q4_0', path: testData('arctic-tiny-sql-q4_0.gguf')!, set: 'eval.jsonl' },
    { name: 'mini Q4_0', path: resolve(root, 'demo/public/models/arctic-mini-sql-q4_0.gguf'), set: 'eval-mini.jsonl' },
  ])(
    '$name, 20 prompts: mean KL below 2e-3, top-1 in 98%',
    async ({ path, set }) => {
      const found = await compare(path, await chatPrompts(path, 20, set));
      expect(found.meanKl).toBeLessThan(2e-3);
      expect(found.top1).toBeGreaterThanOrEqual(0.98);
    },
    240_000,
  );
});

const small = { nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320 };
const randomModels: { name: string; options: RandomModelOptions }[] = [
  {
    name: 'arctic F32',
    options: { ...small, architecture: 'arctic', expertDim: 96, nExperts: 8, nExpertsUsed: 2, type: 'F32', seed: 1 },
  },
  { name: 'llama F32', options: { ...small, architecture: 'llama', ffDim: 160, type: 'F32', seed: 2 } },
  {
    name: 'llama tied, rope_freqs, F32',
    options: { ...small, architecture: 'llama', ffDim: 160, type: 'F32', seed: 3, tied: true, ropeFreqs: true },
  },
  {
    name: 'mixtral F32',
    options: { ...small, architecture: 'llama', expertDim: 96, nExperts: 8, nExpertsUsed: 2, type: 'F32', seed: 4 },
  },
];
describe('random models agree with llama.cpp', () => {
  const folder = mkdtempSync(join(tmpdir(), 'floe-oracle-'));
  const random = seeded('oracle');
  // Longer than one chunk of logits, so that a prompt's chunks meet the cache of those before.
  const prompts = [1, 2].map(() => Array.from({ length: 40 }, () => random.int(0, 299)));
  const fileOf = (options: RandomModelOptions) => {
    const path = join(folder, `${options.architecture}-${options.seed}.gguf`);
    writeFileSync(path, randomModel(options));
    return path;
  };

  it.each(randomModels)('$name: log-probabilities within 2e-3, every top-1', async ({ options }) => {
    for (const family of ['thread', 'cooperative'] as const) {
      const found = await compare(fileOf(options), prompts, { family });
      expect(found.maxError, family).toBeLessThan(2e-3);
      expect(found.top1, family).toBe(1);
    }
  });

  it('control: another seed is another model', async () => {
    const [one, other] = [randomModels[0]!.options, { ...randomModels[0]!.options, seed: 99 }];
    const ours = await floeLogprobs(randomModel(one), prompts);
    const theirs = await floeLogprobs(randomModel(other), prompts);
    expect(agreement(ours.flat(), theirs.flat()).maxError).toBeGreaterThan(0.1);
  });

  it("runs on WebGPU's default limits without a feature", async () => {
    const found = await compare(fileOf(randomModels[0]!.options), prompts, { limits: 'default' });
    expect(found.maxError).toBeLessThan(5e-3);
  });

  it('runs there with a matrix larger than can be bound: it is cut by rows', async () => {
    const embedding = { nVocab: 70_000, modelDim: 512 };
    // WebGPU's default for a binding.
    expect(embedding.nVocab * embedding.modelDim * 4).toBeGreaterThan(2 ** 27);
    const dense = { nLayers: 1, nHeads: 4, nKvHeads: 2, ffDim: 64, tied: true, seed: 5 } as const;
    const path = fileOf({ ...embedding, ...dense, architecture: 'llama', type: 'F32' });
    const far = prompts[0]!.slice(0, 8).map((id, i) => id + 9_900 * i);
    const found = await compare(path, [far], { limits: 'default' });
    expect(found.maxError).toBeLessThan(5e-3);
    expect(found.top1).toBe(1);
  });

  it.each(['F32', 'Q8_0'] as const)('cutting matrices by rows changes no bit: %s', async (type) => {
    const bytes = randomModel({ ...randomModels[0]!.options, type });
    const found = await floeLogprobs(bytes, prompts, { bufferBytes: 6_000 });
    expect(found).toEqual(await floeLogprobs(bytes, prompts));
  });

  it('cutting the pool of experts in pieces changes no bit', async () => {
    const bytes = randomModel(randomModels[0]!.options);
    const pieces = await floeLogprobs(bytes, prompts, { poolBytes: 400_000 });
    expect(pieces).toEqual(await floeLogprobs(bytes, prompts));
  });
});

it('keeps weights quantized: GPU bytes are at most 1.03 times the file’s tensors', async () => {
  for (const name of ['arctic-tiny-sql-q8_0', 'arctic-tiny-sql-q4_0']) {
    const bytes = readFileSync(testData(`${name}.gguf`)!);
    const device = await openDevice(testGpu());
    const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
    const plan = planModel(await readGguf({ sizeBytes: bytes.length, read }));
    await placeModel(device, plan, { read: (record) => packRecord(record, read) });
    const { weights, experts } = device.buffers.bytes();
    expect((weights + experts) / plan.fileTensorBytes, name).toBeLessThan(1.03);
    device.destroy();
  }
});
