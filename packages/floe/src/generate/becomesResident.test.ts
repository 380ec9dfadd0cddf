/** The last expert without a slot gets one in the middle of a step, and the next step was asked for already. */
import { testGpu } from '@floe/testkit/nodeGpu';
import { randomModel } from '@floe/testkit/randomModel';
import { expect, it } from 'vitest';
import { readGguf } from '../gguf/index.ts';
import { openDevice } from '../gpu/index.ts';
import { systemClock } from '../host/index.ts';
import { type PlacedModel, placeModel, planModel } from '../model/index.ts';
import { packRecord, type RecordPlan } from '../store/index.ts';
import { type Conversation, Engine } from './index.ts';

const GREEDY = { kind: 'greedy' } as const;
const [nLayers, nExperts, nExpertsUsed] = [3, 32, 2];
const PROMPT = [5, 77];
const N_STEPS = 12;

const bytes = randomModel({
  ...{ architecture: 'arctic', type: 'Q8_0', seed: 31, nLayers, nExperts, nExpertsUsed },
  ...{ modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, expertDim: 96 },
});
const read = async (at: number, n: number) => bytes.subarray(at, at + n);
const device = openDevice(testGpu());
const plan = readGguf({ sizeBytes: bytes.length, read }).then(planModel);

/** What it answers with every expert there, and each expert's first step in which the first layer needs it. */
async function expected(): Promise<{ ids: number[]; late: { key: number; step: number } }> {
  const placed = await placeModel(await device, await plan, { read: (record) => packRecord(record, read) });
  const engine = new Engine(await device, placed, 64, systemClock);
  const conversation = engine.open();
  const used = new Set<number>();
  engine.prompts.onRoutes = (layer, _, experts) => {
    for (const expert of experts) used.add(layer * nExperts + expert);
  };
  const steps: Uint16Array[] = [];
  engine.decoder.onRoutes = ({ ids }) => steps.push(ids);
  const ids = await decode(conversation);
  const late: { key: number; step: number }[] = [];
  for (const [step, routes] of steps.entries()) {
    const keys = Array.from(routes, (expert, i) => Math.floor(i / nExpertsUsed) * nExperts + expert);
    for (const key of keys.slice(0, nExpertsUsed)) if (step > 0 && !used.has(key)) late.push({ key, step });
    for (const key of keys) used.add(key);
  }
  await engine.destroy();
  return { ids, late: late[0]! };
}

async function decode(conversation: Conversation, between = async (_step: number) => {}): Promise<number[]> {
  const ids = [await (await conversation.prefill(PROMPT, GREEDY, 0, () => {})).wait()];
  const ahead: { readonly wait: () => Promise<number> }[] = [];
  for (let step = 0; step < N_STEPS; step++) {
    ahead.push(await conversation.decode(GREEDY, 0));
    await between(step);
    // One step is always asked for before the last one's id is known.
    if (ahead.length > 1) ids.push(await ahead.shift()!.wait());
  }
  for (const step of ahead) ids.push(await step.wait());
  return ids;
}

/** All experts but one are on the GPU; that one takes a while to come. */
async function withoutOne(key: number): Promise<PlacedModel> {
  const slowRead = async (record: RecordPlan) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return packRecord(record, read);
  };
  const isNear = ({ key }: RecordPlan) => !key.includes('expert');
  const placed = await placeModel(await device, await plan, { read: slowRead, isNear });
  const others = Array.from({ length: nLayers * nExperts }, (_, other) => other).filter((other) => other !== key);
  for (let i = 0; i < others.length; i += 16) (await placed.experts!.bring(others.slice(i, i + 16)))();
  return placed;
}

it('answers the same: the next step waits for the one that is under way', async () => {
  const { ids, late } = await expected();
  const placed = await withoutOne(late.key);
  const experts = placed.experts!;
  const engine = new Engine(await device, placed, 64, systemClock);
  const conversation = engine.open();
  expect(conversation.cannotMiss).toBe(false);
  let wasUnderWay = false;
  const found = await decode(conversation, async (step) => {
    if (step !== late.step) return;
    while (!experts.allResident) await new Promise(setImmediate);
    wasUnderWay = !conversation.cannotMiss;
  });
  expect(wasUnderWay).toBe(true);
  expect(found).toEqual(ids);
  expect(conversation.cannotMiss).toBe(true);
  await engine.destroy();
});
