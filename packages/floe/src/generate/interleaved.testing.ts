/** What tests of conversations at once share: a small model, a log of whose turn it was, and answers. */
import { randomModel } from '@floe/testkit/randomModel';
import { seeded } from '@floe/testkit/seeded';
import { ExpertsError } from '../errors/index.ts';
import { systemClock } from '../host/index.ts';
import { testDevice } from '../kernels/testGraph.ts';
import { type ContextPlan, type PlaceOptions, placeModel, planMemory } from '../model/index.ts';
import { packRecord, type RecordPlan } from '../store/index.ts';
import { type Conversation, Engine } from './index.ts';
import { GREEDY, options, planOf } from './pagedAnswer.testing.ts';
import type { Picking } from './pick.ts';

const file = randomModel(options({ architecture: 'arctic', nExperts: 16, nExpertsUsed: 2, seed: 31 }));
export const random = seeded('interleaved');
export const prompts = [21, 9, 34].map((n) => Array.from({ length: n }, () => random.int(0, 299)));
export const context: ContextPlan = { window: 192, nSinks: 4, overflow: 'slide', kv: 'F32', nWindows: 3 };

export interface Made {
  readonly engine: Engine;
  /** Rows of each step, and 'unit' for each unit of a prompt, in the order in which they went to the device. */
  readonly log: (number | 'unit')[];
  /** Records whose reads fail. */
  readonly lost: Set<string>;
}

/** The model on the device; with `nSlots` for the experts of a layer, or all of them there. */
export async function make({
  nSlots,
  memory = context,
}: {
  nSlots?: number;
  memory?: ContextPlan;
} = {}): Promise<Made> {
  const device = await testDevice({});
  const plan = await planOf(file);
  const lost = new Set<string>();
  const read = async (record: RecordPlan) => {
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (!lost.has(record.key)) return packRecord(record, async (at, n) => file.subarray(at, at + n));
    throw new ExpertsError('experts/absent', `${record.key} can't be had`, { remedy: 'none', retryable: true });
  };
  const place: PlaceOptions =
    nSlots === undefined ? {} : { slots: planMemory(plan, memory, 'min').slots.map((one) => ({ ...one, nSlots })) };
  const engine = new Engine(device, await placeModel(device, plan, { read }, place), memory, systemClock);
  const log: (number | 'unit')[] = [];
  const { steps } = engine;
  const run = steps.run.bind(steps);
  steps.run = (rows) => {
    log.push(rows.length);
    return run(rows);
  };
  return { engine, log, lost };
}

/** How a conversation's ids are picked, and what decides each draw. */
export interface Draws {
  readonly picking: Picking;
  readonly uniform: () => number;
}

const greedy: Draws = { picking: GREEDY, uniform: () => 0 };

/** As an answer does: a step ahead of what is known, where none can miss. Ids from `first` on while `goesOn` by their number. */
export async function decode(
  conversation: Conversation,
  first: number,
  goesOn: (nIds: number) => boolean,
  { picking, uniform }: Draws = greedy,
): Promise<number[]> {
  const ids = [first];
  const step = () => conversation.decode(picking, uniform());
  const leave = conversation.enter();
  try {
    let pending = await step();
    while (goesOn(ids.length)) {
      const ahead = conversation.cannotMiss && goesOn(ids.length + 1) ? await step() : null;
      ids.push(await pending.wait());
      pending = ahead ?? (goesOn(ids.length) ? await step() : pending);
    }
    await pending.wait();
  } finally {
    leave();
  }
  return ids;
}

/** The first `n` ids that follow a prompt. */
export async function answer(
  { engine, log }: Made,
  prompt: readonly number[],
  n = 32,
  draws: Draws = greedy,
): Promise<number[]> {
  const conversation = engine.open();
  const pending = await conversation.prefill(prompt, draws.picking, draws.uniform(), () => log.push('unit'));
  const ids = await decode(conversation, await pending.wait(), (nIds) => nIds < n, draws);
  conversation.close();
  return ids;
}
