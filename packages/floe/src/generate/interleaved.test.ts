/** Conversations that share the device: each gives the tokens it gives alone, and none waits long for another. */
import { describe, expect, it } from 'vitest';
import { readBuffer } from '../gpu/index.ts';
import { STEP_ROWS } from '../model/index.ts';
import { rowStride } from '../quant/index.ts';
import type { Conversation } from './index.ts';
import { answer, context, type Draws, decode, type Made, make, prompts, random } from './interleaved.testing.ts';
import { GREEDY } from './pagedAnswer.testing.ts';
import { seededUniform } from './random.ts';

const N = 32;
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

  it('some greedy and some by draws of their own, in one step: the tokens each gives alone', async () => {
    const sampled = (temperature: number, topP: number, seed: number): Draws => ({
      picking: { kind: 'sample', temperature, topK: 0, topP, minP: 0 },
      uniform: seededUniform(seed),
    });
    const draws = [() => sampled(0.8, 0.9, 7), undefined, () => sampled(1.5, 0.5, 8)];
    const answers = (made: Made, i: number) => answer(made, prompts[i]!, N, draws[i]?.());
    const expected: number[][] = [];
    const one = await make();
    for (const i of prompts.keys()) expected.push(await answers(one, i));
    const made = await make();
    expect(await Promise.all(Array.from(prompts.keys(), (i) => answers(made, i)))).toEqual(expected);
    expect(made.log.filter((entry) => entry === 3).length).toBeGreaterThan(4);
    // Control: draws are not what is likeliest, and the one between them is.
    const likeliest = await alone;
    expect(expected.map((ids, i) => ids.join() === likeliest[i]!.join())).toEqual([false, true, false]);
    for (const { engine } of [one, made]) await engine.destroy();
  });

  it('a row of a step has the same bits whatever the others are, how many, and wherever it stands', async () => {
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
    // In the middle, beside one that nearly says the same.
    expect(await logitsOf([prompts[0]!.slice(1), prompts[1]!], 1)).toEqual(expected);
    // Alone, and among as many as a step takes, behind them all.
    for (let nMates = 0; nMates < STEP_ROWS; nMates++) {
      const mates = Array.from({ length: nMates }, (_, i) => prompts[1 + (i % 2)]!);
      expect(await logitsOf(mates, nMates), `${nMates} mates`).toEqual(expected);
    }
    await engine.destroy();
  });
});

describe('with experts that do not fit', () => {
  it.each([12, 5])('%i slots: the same tokens, and an expert that both want comes once', async (nSlots) => {
    const made = await make({ nSlots });
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
    const { engine } = await make({ nSlots: 16 });
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
    const { engine, lost } = await make({ nSlots: 12 });
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

describe('while another is read a prompt of 4,000 tokens', () => {
  const long = Array.from({ length: 4000 }, () => random.int(0, 299));
  const N_READ = 4;
  /** One reads and answers, another talks until that is done. */
  const both = async (made: Made) => {
    const talking = made.engine.open();
    const first = await (await talking.prefill(prompts[0]!, GREEDY, 0, () => {})).wait();
    const reading = made.engine.open();
    let isRead = false;
    made.log.length = 0;
    const [read, talked] = await Promise.all([
      reading
        .prefill(long, GREEDY, 0, () => made.log.push('unit'))
        .then((pending) => pending.wait())
        .finally(() => {
          isRead = true;
        })
        .then((id) => decode(reading, id, (n) => n < N_READ)),
      decode(talking, first, () => !isRead),
    ]);
    return { read, talked };
  };
  const memory = { ...context, window: 128 };
  const undisturbed = (async () => {
    const made = await make({ memory });
    const reading = made.engine.open();
    const pending = await reading.prefill(long, GREEDY, 0, () => made.log.push('unit'));
    return { made, reading, read: await decode(reading, await pending.wait(), (n) => n < N_READ) };
  })();

  // A unit is a chunk of it in one layer, or a wave of its experts there.
  it.each([undefined, 12])('at most a unit of it runs between two tokens; slots for experts: %s', async (nSlots) => {
    const made = await make({ memory, ...(nSlots && { nSlots }) });
    const { engine, log } = made;
    const { read, talked } = await both(made);
    const turns = log.map((entry) => (entry === 'unit' ? 'u' : 's')).join('');
    const nUnits = turns.split('u').length - 1;
    expect(nUnits).toBeGreaterThan(100);
    expect(turns).not.toContain('uu');
    expect(talked.length).toBeGreaterThanOrEqual(nUnits);
    const expected = await undisturbed;
    expect(read).toEqual(expected.read);
    expect(talked).toEqual(await answer(expected.made, prompts[0]!, talked.length));
    expect(engine.model.experts!.counts.misses > 0).toBe(nSlots !== undefined);
    expect(engine.model.experts!.pager.holdsAny).toBe(false);
    await engine.destroy();
  });

  it('its next turn costs only what is new', async () => {
    const { made, reading } = await undisturbed;
    const { engine, log } = made;
    // Of each layer one chunk, and its experts.
    const turn = [...long, 7, ...prompts[1]!];
    expect(reading.reuse(turn)).toBe(long.length);
    log.length = 0;
    await (await reading.prefill(turn.slice(long.length), GREEDY, 0, () => log.push('unit'))).wait();
    expect(log).toEqual(Array(2 * engine.model.plan.shape.nLayers).fill('unit'));
    await engine.destroy();
  });
});
