/**
 * Whole models in each quantization against llama.cpp on the same file, and against float64: llama.cpp rounds activations
 * beside quantized weights, to eight bits with a scale for 32 or for 256 of them, which Floe does not.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asGguf, withMergedExperts } from '@floe/testkit/asGguf';
import { logSoftmax } from '@floe/testkit/expectNear';
import { agreement } from '@floe/testkit/floeAnswers';
import { writeGguf } from '@floe/testkit/ggufWriter';
import { testGpu } from '@floe/testkit/nodeGpu';
import { openOracle } from '@floe/testkit/oracle';
import { type RandomModelOptions, randomGguf, randomModel } from '@floe/testkit/randomModel';
import { readmePath, readmeWith } from '@floe/testkit/readme';
import { referenceModel } from '@floe/testkit/referenceModel';
import { type SafetensorsOptions, safetensorsModel } from '@floe/testkit/safetensors';
import { seeded } from '@floe/testkit/seeded';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readGguf } from '../gguf/index.ts';
import { type Device, openDevice } from '../gpu/index.ts';
import { systemClock } from '../host/index.ts';
import { type PlacedModel, type PlaceOptions, placeModel, planMemory, planModel } from '../model/index.ts';
import { type FormatName, formats, OWN_TYPES } from '../quant/index.ts';
import { packRecord } from '../store/index.ts';
import { Engine } from './index.ts';

const CONTEXT = 64;
/** A route this close is a near tie, and says nothing of either engine. */
const NEAR_TIE = 1e-2;
const random = seeded('quantizations');
const prompts = [Array.from({ length: 48 }, () => random.int(0, 299))];
// The least width that a block of every format fills.
const shape = { nLayers: 1, modelDim: 256, nHeads: 4, nKvHeads: 2, nVocab: 320 };
const llama = { ...shape, architecture: 'llama', ffDim: 512, seed: 10 } satisfies Omit<RandomModelOptions, 'type'>;
const arctic = {
  ...{ ...shape, architecture: 'arctic', seed: 20 },
  ...{ expertDim: 256, nExperts: 8, nExpertsUsed: 2, clearRoutes: true },
} satisfies Omit<RandomModelOptions, 'type'>;
const quantized = formats.filter(({ name }) => name !== 'F32');
/** Those of ggml, and those no other engine here reads. */
const quantizations = quantized.filter(({ ggmlType }) => ggmlType < OWN_TYPES).map(({ name }) => name);
const own = quantized.filter(({ ggmlType }) => ggmlType >= OWN_TYPES).map(({ name }) => name);
const folder = mkdtempSync(join(tmpdir(), 'floe-quantizations-'));

let device: Device;
beforeAll(async () => {
  device = await openDevice(testGpu());
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  device.destroy();
});

/** Formats that passed, by what was checked. */
const passed = { llama: new Set<FormatName>(), arctic: new Set<FormatName>() };

describe.each(quantizations)('%s', (type) => {
  it('llama: mean KL to llama.cpp below 2e-3, top-1 in 97% where it is no near tie', async () => {
    const bytes = randomModel({ ...llama, type });
    await expectAgreement(bytes);
    passed.llama.add(type);
  });

  it('arctic: the same where no route is a near tie, and float64 within 5e-3', async () => {
    const bytes = randomModel({ ...arctic, type });
    await expectRoutedAgreement(bytes);
    passed.arctic.add(type);
  });
});

it.each(own)('%s: llama and arctic within 5e-3 of float64', async (type) => {
  for (const options of [llama, arctic]) {
    const bytes = randomModel({ ...options, type });
    expect(agreement(await floeLogprobs(bytes), exactly(bytes).logprobs).maxError).toBeLessThan(5e-3);
    passed[options.architecture].add(type);
  }
});

describe.each(['llama', 'arctic'] as const)('%s from safetensors', (architecture) => {
  const options = { llama, arctic }[architecture];
  const folder = (type: 'BF16' | 'F32', own: SafetensorsOptions) =>
    safetensorsModel(randomGguf({ ...options, type, expertsApart: true }), { nShards: 2, ...own });

  it('BF16: gives the log-probabilities of the GGUF with the same weights, bit for bit', async () => {
    const ours = await floeLogprobs(await asGguf(folder('BF16', {})));
    // There a layer's experts are slices of one tensor.
    expect(ours).toEqual(await floeLogprobs(randomModel({ ...options, type: 'BF16' })));
  });

  it.each(['tensor', 'row', 'block'] as const)(
    'F8_E4M3, a scale for each %s: within 5e-3 of float64',
    async (scales) => {
      const { files, meant } = folder('F32', { scales });
      const ours = await floeLogprobs(await asGguf({ files }));
      expect(agreement(ours, exactly(writeGguf(withMergedExperts(meant))).logprobs).maxError).toBeLessThan(5e-3);
      // Control: the weights before they were rounded to a byte each are farther away than that.
      const before = exactly(randomModel({ ...options, type: 'F32' }));
      expect(agreement(ours, before.logprobs).maxError).toBeGreaterThan(2e-2);
    },
  );
});

describe.each([
  { gate: 'Q4_0', up: 'Q8_0' },
  { gate: 'Q4_K', up: 'Q6_K' },
] as const)('gate in $gate, up in $up', ({ gate, up }) => {
  const types = { 'blk.0.ffn_up': up, 'blk.0.ffn_up_exps': up };

  it('llama: mean KL to llama.cpp below 2e-3, top-1 in 97% where it is no near tie', async () => {
    await expectAgreement(randomModel({ ...llama, type: gate, types }));
  });

  it('arctic: the same where no route is a near tie, and float64 within 5e-3', async () => {
    await expectRoutedAgreement(randomModel({ ...arctic, type: gate, types }));
  });
});

// Values and down matrices of some layers, and the output matrix, are Q6_K.
const q4KM = {
  'blk.0.attn_v': 'Q6_K',
  'blk.0.ffn_down': 'Q6_K',
  'blk.0.ffn_down_exps': 'Q6_K',
  output: 'Q6_K',
} as const;
describe.each([
  { what: 'as Q4_K_M is', mixed: q4KM },
  { what: 'as those are that choose for each tensor', mixed: { ...q4KM, 'blk.0.ffn_up_exps': 'Q6_K' } as const },
])('a file of several formats, $what', ({ mixed }) => {
  const bytes = randomModel({ ...arctic, nLayers: 3, type: 'Q4_K', types: mixed });

  it('agrees with float64, and gives the same bits with the fewest slots of both sizes', async () => {
    const resident = await floeLogprobs(bytes);
    expect(agreement(resident, exactly(bytes).logprobs).maxError).toBeLessThan(5e-3);

    const plan = await planOf(bytes);
    const { slots } = planMemory(plan, CONTEXT, 'min');
    expect(slots.map(({ layers }) => layers)).toEqual([[0], [1, 2]]);
    const [large, small] = slots.map(({ slotBytes }) => slotBytes) as [number, number];
    expect(large).toBeGreaterThan(small);
    let loads = 0;
    const paged = await floeLogprobs(bytes, slots, ({ experts }) => {
      loads = experts!.counts.loads;
    });
    expect(loads).toBeGreaterThan(2 * slots.reduce((sum, { nSlots }) => sum + nSlots, 0));
    expect(paged).toEqual(resident);
  });
});

async function expectAgreement(bytes: Uint8Array) {
  const found = agreement(await floeLogprobs(bytes), await oracleLogprobs(bytes));
  expect(found.meanKl).toBeLessThan(2e-3);
  expect(found.clearTop1).toBeGreaterThanOrEqual(0.97);
}

/** The same where no route is a near tie; and of float64 everywhere. */
async function expectRoutedAgreement(bytes: Uint8Array) {
  const ours = await floeLogprobs(bytes);
  const { logprobs, margins } = exactly(bytes);
  expect(agreement(ours, logprobs).maxError).toBeLessThan(5e-3);

  const clear = (rows: Float64Array[]) => rows.filter((_, position) => margins[position]! > NEAR_TIE);
  const found = agreement(clear(ours), clear(await oracleLogprobs(bytes)));
  expect(found.nPositions).toBeGreaterThanOrEqual(0.98 * ours.length);
  expect(found.meanKl).toBeLessThan(2e-3);
  expect(found.clearTop1).toBeGreaterThanOrEqual(0.97);
}

async function planOf(bytes: Uint8Array) {
  return planModel(await readGguf({ sizeBytes: bytes.length, read: async (at, n) => bytes.subarray(at, at + n) }));
}

/** Log-probabilities behind each token of each prompt but the first, each by a decode step: matrices times a vector. */
async function floeLogprobs(
  bytes: Uint8Array,
  slots?: PlaceOptions['slots'],
  after: (placed: PlacedModel) => void = () => {},
): Promise<Float64Array[]> {
  const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const placed = await placeModel(
    device,
    await planOf(bytes),
    { read: (record) => packRecord(record, read) },
    { slots },
  );
  const engine = new Engine(device, placed, CONTEXT, systemClock);
  const conversation = engine.open();
  const rows: Float64Array[] = [];
  for (const ids of prompts) for await (const logits of conversation.replay(ids)) rows.push(logSoftmax(logits));
  after(placed);
  device.throwIfFailed();
  await engine.destroy();
  return rows;
}

async function oracleLogprobs(bytes: Uint8Array): Promise<Float64Array[]> {
  const path = join(folder, 'model.gguf');
  writeFileSync(path, bytes);
  const oracle = await openOracle(path, { nCtx: CONTEXT });
  const rows: Float64Array[] = [];
  for (const ids of prompts) rows.push(...(await oracle.logprobs(ids)).slice(1));
  await oracle.close();
  return rows;
}

/** The same in float64, and of each position how clear its least clear route is. */
function exactly(bytes: Uint8Array): { logprobs: Float64Array[]; margins: number[] } {
  const reference = referenceModel(bytes);
  const outputs = prompts.map((ids) => reference.forward(ids));
  return {
    logprobs: outputs.flatMap(({ logits }) => logits.slice(1).map(logSoftmax)),
    margins: outputs.flatMap(({ logits, routes }) =>
      logits.map((_, at) => Math.min(...routes.map((layer) => layer[at]!.margin))).slice(1),
    ),
  };
}

/** The README's table, between two comments. `pnpm unit packages/floe/src/generate/quantizations.test.ts -u` writes it. */
it('the README has a row for each quantization that was checked above, and no other', async () => {
  const yes = (names: Set<FormatName>, name: FormatName) => (names.has(name) ? 'yes' : 'no');
  const exact = (names: Set<FormatName>, name: FormatName) => (names.has(name) ? 'within 5e-3 of float64' : 'no');
  const table = [
    '| quantization | llama: mean KL < 2e-3, top-1 ≥ 97% but for near ties | arctic: the same, and within 5e-3 of float64 |',
    '|---|---|---|',
    ...quantizations.map((name) => `| ${name} | ${yes(passed.llama, name)} | ${yes(passed.arctic, name)} |`),
    ...own.map((name) => `| ${name} | ${exact(passed.llama, name)} | ${exact(passed.arctic, name)} |`),
  ];
  await expect(readmeWith('quantizations', table)).toMatchFileSnapshot(readmePath);
});
