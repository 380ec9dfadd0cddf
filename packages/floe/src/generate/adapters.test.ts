/** LoRA adapters against llama.cpp on the same files; and without them a model is what it was, bit for bit. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '@floe/testkit/encode';
import { addAdapters, agreement, floeAnswers, type GivenAdapter } from '@floe/testkit/floeAnswers';
import { type TensorInput, writeGguf } from '@floe/testkit/ggufWriter';
import { openOracle } from '@floe/testkit/oracle';
import { mergedModel, mergedTensors, randomAdapter } from '@floe/testkit/randomAdapter';
import { type RandomModelOptions, randomMetadata, randomModel, randomTensors } from '@floe/testkit/randomModel';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it, vi } from 'vitest';
import { readBuffer } from '../gpu/index.ts';
import { systemClock } from '../host/index.ts';
import { testDevice } from '../kernels/testGraph.ts';
import { contextPlan, placeModel } from '../model/index.ts';
import { type FormatName, formatByName } from '../quant/index.ts';
import { Engine } from './index.ts';
import { answer, CONTEXT, GREEDY, PROMPT, planOf, storeOf } from './pagedAnswer.testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'floe-adapters-'));
const random = seeded('adapters');
const prompts = [Array.from({ length: 40 }, () => random.int(0, 299))];

const small = { nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, type: 'F32' } as const;
const experts = { expertDim: 96, nExperts: 8, nExpertsUsed: 2, clearRoutes: true } as const;
const arctic: RandomModelOptions = { ...small, ...experts, architecture: 'arctic', seed: 49 };
const llama: RandomModelOptions = { ...small, architecture: 'llama', ffDim: 160, seed: 2 };
/** Biased experts, activated by a kernel of their own; and keys, queries and values in one tensor. */
const gptOss: RandomModelOptions = { ...small, ...experts, architecture: 'gpt-oss', headDim: 32, seed: 41 };
/** Gate and up of the first layer in two formats. */
const upApart = { 'blk.0.ffn_up': 'BF16', 'blk.0.ffn_up_exps': 'BF16' } as const;
const arcticApart: RandomModelOptions = { ...arctic, types: upApart };
const llamaApart: RandomModelOptions = { ...llama, types: upApart };
const phi3: RandomModelOptions = { ...small, architecture: 'phi3', ffDim: 96, seed: 44 };

/** Two of different rank, one of them for a few tensors only. */
const pairOf = (model: RandomModelOptions) => [
  randomAdapter(model, { seed: 5, rank: 8, alpha: 12 }),
  randomAdapter(model, { seed: 6, rank: 3, alpha: 0, only: /attn_q|ffn_down|output\./ }),
];

/** A route this close is a near tie: f32 sums in another order may choose another expert. */
const NEAR_TIE = 1e-2;

/** What llama.cpp is given where it is not given the same: beside other types than F32 it rounds activations too. */
interface Theirs {
  readonly model?: Uint8Array;
  readonly adapters?: readonly GivenAdapter[];
}

async function compare(model: RandomModelOptions, given: readonly GivenAdapter[], their: Theirs = {}) {
  const bytes = randomModel(model);
  const path = join(folder, 'model.gguf');
  writeFileSync(path, their.model ?? bytes);
  const adapters = (their.adapters ?? given).map(({ bytes, scale }, i) => {
    const path = join(folder, `adapter-${i}.gguf`);
    writeFileSync(path, bytes);
    return { path, scale };
  });
  const oracle = await openOracle(path, { adapters });
  const theirs: Float64Array[] = [];
  for (const ids of prompts) theirs.push(...(await oracle.logprobs(ids)));
  await oracle.close();
  const answers = await floeAnswers(await testDevice(), bytes, prompts, { adapters: given });
  const margins = answers.flatMap((answer) => answer.margins);
  const ours = answers.flatMap((answer) => answer.logprobs);
  const clear = <T>(rows: readonly T[]) => rows.filter((_, position) => margins[position]! > NEAR_TIE);
  return { ...agreement(clear(ours), clear(theirs)), share: clear(ours).length / ours.length };
}

describe('log-probabilities equal those of llama.cpp with the same adapters, within 5e-3', () => {
  const one = (scale: number) => (model: RandomModelOptions) => [{ bytes: pairOf(model)[0]!, scale }];
  const two = (model: RandomModelOptions) => {
    const [first, second] = pairOf(model) as [Uint8Array, Uint8Array];
    return [
      { bytes: first, scale: 0.5 },
      { bytes: second, scale: 1 },
    ];
  };
  it.each([
    { what: 'arctic, at 0', model: arctic, given: one(0) },
    { what: 'arctic, at 0.5', model: arctic, given: one(0.5) },
    { what: 'arctic, at 1', model: arctic, given: one(1) },
    { what: 'arctic, two at once', model: arctic, given: two },
    { what: 'llama, at 1', model: llama, given: one(1) },
    { what: 'llama, two at once', model: llama, given: two },
    { what: 'gpt-oss, two at once', model: gptOss, given: two },
    { what: 'phi3, at 1', model: phi3, given: one(1) },
  ])('$what', async ({ model, given }) => {
    const found = await compare(model, given(model));
    expect(found.share).toBeGreaterThanOrEqual(0.98);
    expect(found.maxError).toBeLessThan(5e-3);
    expect(found.top1).toBe(1);
  });

  it('control: an adapter is far from none, and 2% more of it is out of bounds', async () => {
    const device = await testDevice();
    const at = async (scale: number) => {
      const given = one(scale)(llama);
      const [answer] = await floeAnswers(device, randomModel(llama), prompts, { adapters: given });
      return answer!.logprobs;
    };
    expect(agreement(await at(1), await at(0)).maxError).toBeGreaterThan(0.5);
    expect(agreement(await at(1), await at(1.02)).maxError).toBeGreaterThan(5e-3);
  });
});

/** A tensor's values rounded as a type rounds them. */
function rounded(tensor: TensorInput, type: FormatName): TensorInput {
  const data = formatByName(type).dequantize(encode(type, Float32Array.from(tensor.data)), tensor.data.length);
  return { ...tensor, data };
}

describe('gate and up in two formats: log-probabilities equal those of llama.cpp on their values in F32, within 5e-3', () => {
  const inF32 = (model: RandomModelOptions) => {
    const tensors = randomTensors(model).map(
      (tensor): TensorInput => ({ ...rounded(tensor, tensor.type), type: 'F32' }),
    );
    return writeGguf({ metadata: randomMetadata(model), tensors });
  };
  it.each([
    { what: 'arctic, without an adapter', model: arcticApart, scales: [] },
    { what: 'arctic, two adapters at once', model: arcticApart, scales: [0.5, 1] },
    { what: 'llama, without an adapter', model: llamaApart, scales: [] },
    { what: 'llama, two adapters at once', model: llamaApart, scales: [0.5, 1] },
  ])('$what', async ({ model, scales }) => {
    const given = scales.map((scale, i) => ({ bytes: pairOf(model)[i]!, scale }));
    const found = await compare(model, given, { model: inF32(model) });
    expect(found.share).toBeGreaterThanOrEqual(0.98);
    expect(found.maxError).toBeLessThan(5e-3);
    expect(found.top1).toBe(1);
  });
});

/** Their own values, rounded as the type rounds, go to llama.cpp in F32. */
describe.each(['BF16', 'F16', 'Q8_0'] as const)('an adapter in %s', (type) => {
  it.each([
    { name: 'arctic', model: arctic },
    { name: 'llama', model: llama },
  ])('$name: says what llama.cpp makes of its values, within 5e-3', async ({ model }) => {
    // A whole block of Q8_0.
    const options = { seed: 5, rank: 32, alpha: 48 };
    const theirs = randomAdapter(model, { ...options, edit: (tensors) => tensors.map((one) => rounded(one, type)) });
    const bytes = randomAdapter(model, { ...options, type });
    const found = await compare(model, [{ bytes, scale: 1 }], { adapters: [{ bytes: theirs, scale: 1 }] });
    expect(found.share).toBeGreaterThanOrEqual(0.98);
    expect(found.maxError).toBeLessThan(5e-3);
    expect(found.top1).toBe(1);
  });
});

/** As of modules of their own, which is what they were while the adapter was trained. */
it('of an embedding that is the output matrix too, an adapter changes what goes in alone', async () => {
  const tied: RandomModelOptions = { ...llama, tied: true };
  const options = { seed: 5, rank: 8, alpha: 12, only: /^token_embd/ };
  const output = randomTensors(tied).find(({ name }) => name === 'token_embd.weight')!;
  const tensors = [...mergedTensors(tied, options), { ...output, name: 'output.weight' }];
  const device = await testDevice();
  const given = [{ bytes: randomAdapter(tied, options), scale: 1 }];
  const [adapted] = await floeAnswers(device, randomModel(tied), prompts, { adapters: given });
  const [apart] = await floeAnswers(device, writeGguf({ metadata: randomMetadata(tied), tensors }), prompts);
  const [plain] = await floeAnswers(device, randomModel(tied), prompts);
  expect(agreement(adapted!.logprobs, apart!.logprobs).maxError).toBeLessThan(5e-3);
  expect(agreement(adapted!.logprobs, plain!.logprobs).maxError).toBeGreaterThan(0.5);
});

/** llama.cpp leaves latent attention's matrices without their adapters; W + B A in float64 does not. */
it('deepseek2: an adapter says what its products, put into the weights, say', async () => {
  const model: RandomModelOptions = {
    ...{ ...small, ...experts, architecture: 'deepseek2', ffDim: 96, ropeDim: 16, latentJoined: true, seed: 61 },
  };
  const options = { seed: 5, rank: 8, alpha: 6 };
  const device = await testDevice();
  const [merged] = await floeAnswers(device, mergedModel(model, options), prompts);
  const adapters = [{ bytes: randomAdapter(model, options), scale: 1 }];
  const [adapted] = await floeAnswers(device, randomModel(model), prompts, { adapters });
  const clear = merged!.logprobs.flatMap((row, i) =>
    merged!.margins[i]! > NEAR_TIE ? [[row, adapted!.logprobs[i]!]] : [],
  );
  expect(clear.length).toBeGreaterThan(30);
  const found = agreement(
    clear.map(([, row]) => row!),
    clear.map(([row]) => row!),
  );
  expect(found.maxError).toBeLessThan(5e-3);
  expect(found.top1).toBe(1);
});

describe.each([
  { what: 'gate over up', model: arctic },
  { what: 'gate and up in two formats', model: arcticApart },
])('$what: with experts at a quarter of the slots', ({ model }) => {
  const file = randomModel(model);
  const adapters = {
    architecture: 'arctic',
    given: pairOf(model).map((bytes, i) => ({ bytes, scale: 1 - i / 4 })),
  };

  it('adapters of experts give the bits they give where all are resident', async () => {
    const resident = await answer(file, { adapters, nDecoded: 4 });
    const paged = await answer(file, { adapters, gpu: '25%', memoryShare: 1, nDecoded: 4 });
    expect(paged.ids).toEqual(resident.ids);
    expect(paged.logits).toEqual(resident.logits);
    expect(paged.counts.misses).toBeGreaterThan(0);
    const none = await answer(file, { nDecoded: 4 });
    expect(none.logits).not.toEqual(resident.logits);
    expect((await answer(file, { gpu: '25%', nDecoded: 4 })).logits).toEqual(none.logits);
  });
});

it('two conversations that share their steps give the ids that each gives alone', async () => {
  const device = await testDevice();
  const bytes = randomModel(arctic);
  const placed = await placeModel(device, await planOf(bytes), storeOf(bytes));
  const engine = new Engine(device, placed, { ...contextPlan(CONTEXT), nWindows: 2 }, systemClock);
  const [adapter] = await addAdapters(device, placed, 'arctic', [{ bytes: pairOf(arctic)[0]!, scale: 1 }]);
  await engine.adaptersChanged();
  const answerTo = async (prompt: readonly number[]) => {
    const conversation = engine.open();
    const leave = conversation.enter();
    const ids: number[] = [];
    let pending = await conversation.prefill(prompt, GREEDY, 0, () => {});
    for (let i = 0; i < 8; i++) {
      ids.push(await pending.wait());
      pending = await conversation.decode(GREEDY, 0);
    }
    await pending.wait();
    leave();
    conversation.close();
    return ids;
  };
  const run = vi.spyOn(engine.steps, 'run');
  const two = [PROMPT, PROMPT.slice(0, 9)];
  const alone = [await answerTo(two[0]!), await answerTo(two[1]!)];
  expect(run.mock.calls.every(([rows]) => rows.length === 1)).toBe(true);
  expect(await Promise.all(two.map(answerTo))).toEqual(alone);
  expect(run.mock.calls.some(([rows]) => rows.length === 2)).toBe(true);
  await engine.destroy();
  adapter!.destroy();
});

it.each([
  { what: 'gate over up', model: llama },
  { what: 'gate and up in two formats', model: llamaApart },
])('$what: a matrix in pieces has the same bits, with an adapter and without, as one in one', async ({ model }) => {
  const device = await testDevice();
  const bytes = randomModel(model);
  for (const adapters of [[], [{ bytes: pairOf(model)[0]!, scale: 1 }]]) {
    const whole = await floeAnswers(device, bytes, prompts, { adapters });
    const pieces = await floeAnswers(device, bytes, prompts, { adapters, bufferBytes: 20_000 });
    expect(pieces).toEqual(whole);
  }
});

describe('a model whose adapters were removed', () => {
  /** Behind the prompt and after each of a few decoded tokens, the bits of the logits; and the dispatches of all that. */
  async function bitsOf(engine: Engine): Promise<{ logits: Uint32Array[]; nDispatches: number }> {
    const { device, model, prompts, steps } = engine;
    const before = device.counts.dispatches;
    const logits: Uint32Array[] = [];
    const conversation = engine.open();
    let pending = await conversation.prefill(PROMPT, GREEDY, 0, () => {});
    for (const { s } of [prompts, steps, steps, steps]) {
      await pending.wait();
      logits.push(new Uint32Array(await readBuffer(device, s.logits.buffer, 0, model.plan.nVocab * 4)));
      pending = await conversation.decode(GREEDY, 0);
    }
    await pending.wait();
    conversation.close();
    return { logits, nDispatches: device.counts.dispatches - before };
  }

  it.each([
    // Embedding, in each layer 8, head 2, and what picks: for the prompt and for each of four tokens. An adapter of all
    // matrices: two for each, of which a layer has 7, and an activation by itself.
    { name: 'llama', model: llama, nDispatches: 5 * (1 + 2 * 8 + 2 + 1), nAdded: 5 * (2 + 2 * (2 * 7 + 1) + 2) },
    // Apart, gate and up of the first layer take three dispatches in place of one, and are activated as they were.
    {
      name: 'llama, gate and up in two formats',
      model: llamaApart,
      nDispatches: 5 * (1 + 10 + 8 + 2 + 1),
      nAdded: 5 * (2 + 2 * 7 + (2 * 7 + 1) + 2),
    },
    { name: 'arctic', model: arctic, nDispatches: null, nAdded: null },
  ])('$name: the same bits and dispatches as one that never had any', async ({ model, nDispatches, nAdded }) => {
    const device = await testDevice();
    const bytes = randomModel(model);
    const placed = await placeModel(device, await planOf(bytes), storeOf(bytes));
    const engine = new Engine(device, placed, CONTEXT, systemClock);
    const never = await bitsOf(engine);
    if (nDispatches !== null) expect(never.nDispatches).toBe(nDispatches);
    const nBuffers = device.buffers.count;
    const nBytes = device.buffers.bytes().adapters;

    const [adapter] = await addAdapters(device, placed, model.architecture, [{ bytes: pairOf(model)[0]!, scale: 1 }]);
    await engine.adaptersChanged();
    const adapted = await bitsOf(engine);
    expect(adapted.logits).not.toEqual(never.logits);
    expect(adapted.nDispatches).toBeGreaterThan(never.nDispatches);
    if (nAdded !== null) expect(adapted.nDispatches - never.nDispatches).toBe(nAdded);
    expect(device.buffers.bytes().adapters).toBeGreaterThan(nBytes);

    adapter!.scale = 0;
    await engine.adaptersChanged();
    expect(await bitsOf(engine)).toEqual(never);

    placed.adapters.remove(adapter!);
    await engine.adaptersChanged();
    adapter!.destroy();
    expect(await bitsOf(engine)).toEqual(never);
    expect(device.buffers.bytes().adapters).toBe(nBytes);
    expect(device.buffers.count).toBe(nBuffers);
    await engine.destroy();
  });
});
