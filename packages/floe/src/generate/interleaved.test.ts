/** Conversations that share the device: each gives the tokens it gives alone, and none waits long for another. */
import { randomModel } from '@floe/testkit/randomModel';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { ExpertsError } from '../errors/index.ts';
import { readBuffer } from '../gpu/index.ts';
import { systemClock } from '../host/index.ts';
import { testDevice } from '../kernels/testGraph.ts';
import { type ContextPlan, type PlaceOptions, placeModel, planMemory } from '../model/index.ts';
import { rowStride } from '../quant/index.ts';
import { packRecord, type RecordPlan } from '../store/index.ts';
import { type Conversation, Engine } from './index.ts';
import { GREEDY, options, planOf } from './pagedAnswer.testing.ts';

const file = randomModel(options({ architecture: 'arctic', nExperts: 16, nExpertsUsed: 2, seed: 31 }));
const random = seeded('interleaved');
const prompts = [21, 9, 34].map((n) => Array.from({ length: n }, () => random.int(0, 299)));
const N = 32;
const context: ContextPlan = { window: 192, nSinks: 4, overflow: 'slide', kv: 'F32', nWindows: 3 };

interface Made {
  readonly engine: Engine;
  /** Rows of each step, and 'unit' for each unit of a prompt, in the order in which they went to the device. */
  readonly log: (number | 'unit')[];
  /** Records whose reads fail. */
  readonly lost: Set<string>;
}

async function make(place: PlaceOptions = {}, memory: ContextPlan = context): Promise<Made> {
  const device = await testDevice({});
  const plan = await planOf(file);
  const lost = new Set<string>();
  const read = async (record: RecordPlan) => {
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (!lost.has(record.key)) return packRecord(record, async (at, n) => file.subarray(at, at + n));
    throw new ExpertsError('experts/absent', `${record.key} can't be had`, { remedy: 'none', retryable: true });
  };
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

/** As an answer does: a step ahead of what is known, where none can miss. */
async function decode(conversation: Conversation, n: number, first: number): Promise<number[]> {
  const ids = [first];
  const leave = conversation.enter();
  try {
    let pending = await conversation.decode(GREEDY, 0);
    while (ids.length < n) {
      const ahead = conversation.cannotMiss && ids.length < n - 1 ? await conversation.decode(GREEDY, 0) : null;
      ids.push(await pending.wait());
      if (ids.length < n) pending = ahead ?? (await conversation.decode(GREEDY, 0));
    }
  } finally {
    leave();
  }
  return ids;
}

async function answer({ engine, log }: Made, prompt: readonly number[], n = N): Promise<number[]> {
  const conversation = engine.open();
  const pending = await conversation.prefill(prompt, GREEDY, 0, () => log.push('unit'));
  const ids = await decode(conversation, n, await pending.wait());
  conversation.close();
  return ids;
}

const alone = (async () => {
  const made = await make();
  const answers: number[][] = [];
  for (const prompt of prompts) answers.push(await answer(made, prompt));
  expect(made.log.filter((entry) => entry !== 'unit' && entry !== 1)).toEqual([]);
  return answers;
})();

describe('conversations that answer at once', () => {
  it('give the tokens each gives alone, and share their steps', async () => {
    const made = await make();
    const found = await Promise.all(prompts.map((prompt) => answer(made, prompt)));
    expect(found).toEqual(await alone);
    expect(made.log.filter((entry) => entry === 3).length).toBeGreaterThan(4);
    await made.engine.destroy();
  });

  it('and when others come and go in the middle', async () => {
    const made = await make();
    const others = async () => {
      for (const n of [1, 3, 2]) await answer(made, prompts[2]!, n + 1);
    };
    const [first, second] = await Promise.all([answer(made, prompts[0]!), answer(made, prompts[1]!), others()]);
    expect([first, second]).toEqual((await alone).slice(0, 2));
    expect(new Set(made.log).size).toBeGreaterThan(2);
  });

  it('a row of a step has the same bits whatever the others are, and wherever it stands', async () => {
    const { engine } = await make();
    const stride = rowStride(engine.model.plan.nVocab);
    const logitsOf = async (mates: readonly (readonly number[])[], at: number) => {
      const all = [...mates.slice(0, at), prompts[0]!, ...mates.slice(at)];
      const conversations = all.map(() => engine.open());
      for (const [i, prompt] of all.entries())
        await (await conversations[i]!.prefill(prompt, GREEDY, 0, () => {})).wait();
      const rows = conversations.map(({ seat }) => ({ seat, picking: GREEDY, u: 0 }));
      await Promise.all((await engine.steps.run(rows)).results.map((result) => result.wait()));
      const bytes = await readBuffer(engine.device, engine.steps.s.logits.buffer, at * stride * 4, stride * 4);
      for (const conversation of conversations) conversation.close();
      return new Uint32Array(bytes);
    };
    const expected = await logitsOf([prompts[1]!, prompts[2]!], 0);
    expect(await logitsOf([prompts[2]!, prompts[2]!], 0)).toEqual(expected);
    expect(await logitsOf([prompts[2]!, prompts[1]!], 2)).toEqual(expected);
    // In the middle, beside one that nearly says the same.
    expect(await logitsOf([prompts[0]!.slice(1), prompts[1]!], 1)).toEqual(expected);
    await engine.destroy();
  });
});

describe('with experts that do not fit', () => {
  it.each([12, 5])('%i slots: the same tokens, and an expert that both want comes once', async (nSlots) => {
    const slots = (plan: Awaited<ReturnType<typeof planOf>>) =>
      planMemory(plan, context, 'min').slots.map((one) => ({ ...one, nSlots }));
    const made = await make({ slots: slots(await planOf(file)) });
    const found = await Promise.all(prompts.map((prompt) => answer(made, prompt)));
    expect(found).toEqual(await alone);
    const { counts, pager } = made.engine.model.experts!;
    expect(counts.misses).toBeGreaterThan(0);
    expect(made.engine.steps.mostRows).toBe(nSlots === 12 ? 3 : 1);
    if (nSlots === 12) expect(made.log.filter((entry) => entry === 2 || entry === 3).length).toBeGreaterThan(3);
    // Nobody keeps a slot.
    expect(pager.holdsAny).toBe(false);
    await made.engine.destroy();
  });

  it('two of the same text miss twice what is loaded once', async () => {
    const slots = planMemory(await planOf(file), context, 'min').slots.map((one) => ({ ...one, nSlots: 16 }));
    const { engine } = await make({ slots });
    const conversation = engine.open();
    const first = await (await conversation.prefill(prompts[0]!, GREEDY, 0, () => {})).wait();
    const both = [conversation, conversation.fork(prompts[0]!.length)];
    for (const one of both) engine.steps.ids.give(first, one.seat.row);
    const { counts } = engine.model.experts!;
    const before = { ...counts };
    for (let i = 0; i < 6; i++) {
      const { results } = await engine.steps.run(both.map(({ seat }) => ({ seat, picking: GREEDY, u: 0 })));
      expect(new Set(await Promise.all(results.map((result) => result.wait()))).size).toBe(1);
    }
    expect(counts.loads - before.loads).toBeGreaterThan(0);
    expect(counts.misses - before.misses).toBe(2 * (counts.loads - before.loads));
    await engine.destroy();
  });

  it('one that wants an expert which cannot be had fails, and the others go on', async () => {
    const slots = planMemory(await planOf(file), context, 'min').slots.map((one) => ({ ...one, nSlots: 12 }));
    const made = await make({ slots });
    const { engine, lost } = made;
    const [a, b] = [engine.open(), engine.open()];
    const firsts = [];
    for (const [i, one] of [a, b].entries())
      firsts.push(await (await one.prefill(prompts[i]!, GREEDY, 0, () => {})).wait());
    // What the first wants next and the second does not.
    const wanted: Set<number>[] = [];
    engine.decoder.onRoutes = ({ ids }) =>
      wanted.push(new Set(Array.from(ids, (id, i) => engine.model.experts!.keyOf(Math.floor(i / 2), id))));
    const step = async (rows: readonly Conversation[]) => {
      const { results } = await engine.steps.run(rows.map(({ seat }) => ({ seat, picking: GREEDY, u: 0 })));
      return Promise.allSettled(results.map((result) => result.wait()));
    };
    const expected = await step([a, b]);
    for (const one of [a, b]) one.rewind(one.length - 1);
    const own = [...wanted[0]!].filter((key) => !wanted[1]!.has(key));
    expect(own.length).toBeGreaterThan(0);
    for (const key of own) lost.add(engine.model.experts!.recordOf(key).key);
    for (const [i, one] of [a, b].entries()) engine.steps.ids.give(firsts[i]!, one.seat.row);
    // Others' experts, so that none of these has a slot.
    for (let key = 0; key < 48; key++)
      if (!own.includes(key) && !lost.has(engine.model.experts!.recordOf(key).key))
        (await engine.model.experts!.bring([key]))();
    const [first, second] = await step([a, b]);
    expect(first).toMatchObject({ status: 'rejected', reason: { code: 'experts/absent' } });
    expect(second).toEqual(expected[1]);
    lost.clear();
    // Where it stood before: its token is asked for again.
    expect((await step([a]))[0]).toEqual(expected[0]);
    await engine.destroy();
  });
});

it('a prompt of 4,000 tokens stalls an answer by no more than a unit a token, and its next turn costs only what is new', async () => {
  const made = await make({}, { ...context, window: 128 });
  const { engine, log } = made;
  const long = Array.from({ length: 4000 }, () => random.int(0, 299));
  const talking = engine.open();
  const first = await (await talking.prefill(prompts[0]!, GREEDY, 0, () => {})).wait();
  const other = engine.open();
  let isRead = false;
  const reading = other
    .prefill(long, GREEDY, 0, () => log.push('unit'))
    .then((pending) => pending.wait())
    .then(() => {
      isRead = true;
    });
  const leave = talking.enter();
  log.length = 0;
  let nDecoded = 0;
  for (let pending = await talking.decode(GREEDY, 0); !isRead; nDecoded++) {
    const ahead = await talking.decode(GREEDY, 0);
    await pending.wait();
    pending = ahead;
  }
  leave();
  await reading;
  expect(first).toBeGreaterThanOrEqual(0);
  const units = log.filter((entry) => entry === 'unit').length;
  expect(units).toBeGreaterThan(30);
  expect(nDecoded).toBeGreaterThanOrEqual(units);
  const text = log.map((entry) => (entry === 'unit' ? 'u' : 's')).join('');
  expect(text).not.toContain('uu');
  // Its next turn costs its own tokens only: of each layer one chunk, and its experts.
  const turn = [...long, 7, ...prompts[1]!];
  expect(other.reuse(turn)).toBe(long.length);
  log.length = 0;
  await (await other.prefill(turn.slice(long.length), GREEDY, 0, () => log.push('unit'))).wait();
  expect(log).toEqual(Array(2 * engine.model.plan.shape.nLayers).fill('unit'));
  await engine.destroy();
});
