/** What is asked of a server while a model answers, in which order, and who gets it. Each request is answered by hand. */
import { beforeEach, describe, expect, it } from 'vitest';
import { NetError } from '../errors/index.ts';
import type { Clock } from '../host/index.ts';
import { Arrivals } from './arrivals.ts';
import { ByteAccount } from './byteAccount.ts';
import { fileBytes, sourcesOf } from './fetchPlan.ts';
import { testModel } from './host.testing.ts';
import { packRecord } from './pack.ts';
import type { RecordPlan } from './record.ts';
import type { ByteSource } from './source.ts';

const { file, plans } = testModel();
const experts = plans.slice(2);
const [first, second, third] = experts as [RecordPlan, RecordPlan, RecordPlan];

interface Asked {
  readonly offset: number;
  readonly length: number;
  readonly signal: AbortSignal | undefined;
  readonly answer: () => Promise<void>;
  readonly fail: (error: Error) => Promise<void>;
}

/** Everything that was asked for, answered or not. */
let asked: Asked[];
/** What the answers could be put into. */
let places: Set<ArrayBufferLike>;
let kept: string[];
let sleeps: (() => void)[];
let nowMs: number;
beforeEach(() => {
  asked = [];
  places = new Set();
  kept = [];
  sleeps = [];
  nowMs = 1e6;
});

/** What follows an answer needs some turns of the loop, and no time. */
const settled = () => new Promise<void>((resolve) => setTimeout(resolve, 1));

const source: ByteSource = {
  name: 'by hand',
  sizeBytes: file.length,
  version: null,
  local: false,
  ranges: true,
  fetchedBytes: 0,
  read: (offset, length, signal, options) =>
    new Promise((resolve, reject) => {
      if (options?.into) places.add(options.into.buffer);
      const then = (work: () => void) => {
        work();
        return settled();
      };
      const answer = () => then(() => resolve(file.slice(offset, offset + length)));
      asked.push({ offset, length, signal, answer, fail: (error) => then(() => reject(error)) });
      signal?.addEventListener('abort', () => reject(new Error('stopped')));
    }),
  close: async () => undefined,
};

const clock: Clock = {
  now: () => nowMs,
  epochMs: () => nowMs,
  sleep: () => new Promise((resolve) => sleeps.push(resolve)),
};

function start(rangeBytes?: number, keeps = true): Arrivals {
  const keep = ({ key }: RecordPlan) => {
    kept.push(key);
    return keeps;
  };
  return new Arrivals({ clock, source: async () => source, rangeBytes, keep });
}

const ranges = (requests: readonly Asked[]) => requests.map(({ offset, length }) => [offset, length]);
const rangesOf = (...some: readonly RecordPlan[]) =>
  some.flatMap(sourcesOf).map(({ offset, sizeBytes }) => [offset, sizeBytes]);

/** Answers all that is asked for until nothing is. */
async function answerAll(): Promise<void> {
  await settled();
  for (let i = 0; i < asked.length; i++) await asked[i]!.answer();
}

async function expectRight(plan: RecordPlan, bytes: Uint8Array): Promise<void> {
  const expected = await packRecord(plan, async (offset, length) => file.subarray(offset, offset + length));
  expect(Buffer.compare(bytes, expected), plan.key).toBe(0);
}

describe('a demand', () => {
  it('asks for each range of the record once and at once, and for nothing else', async () => {
    const read = start().fetch(first, 'demand');
    await settled();
    expect(ranges(asked).sort()).toEqual(rangesOf(first).sort());
    await answerAll();
    await expectRight(first, await read);
    expect(kept).toEqual([first.key]);
  });

  it('has six requests in flight, never more, in the order of the calls', async () => {
    const arrivals = start();
    const reads = [first, second, third].map((plan) => arrivals.fetch(plan, 'demand'));
    await settled();
    expect(ranges(asked).sort()).toEqual(rangesOf(first, second).sort());
    await asked[0]!.answer();
    expect(asked).toHaveLength(7);
    await answerAll();
    await Promise.all(reads);
    expect(asked).toHaveLength(9);
  });

  it('of one record by two, which is to be stored too, is one fetch and one array', async () => {
    let stored: Uint8Array | undefined;
    const keep = (_: RecordPlan, bytes: Uint8Array) => {
      stored = bytes;
      return true;
    };
    const arrivals = new Arrivals({ clock, source: async () => source, keep });
    const both = [arrivals.fetch(first, 'demand'), arrivals.fetch(first, 'ahead')];
    await answerAll();
    expect(asked).toHaveLength(3);
    for (const bytes of await Promise.all(both)) expect(bytes).toBe(stored);
    await expectRight(first, stored!);
  });

  it('that is aborted stops its requests; the record can be asked for again', async () => {
    const arrivals = start();
    const abort = new AbortController();
    const read = arrivals.fetch(first, 'demand', abort.signal);
    await settled();
    abort.abort();
    await expect(read).rejects.toMatchObject({ code: 'request/aborted' });
    expect(asked.map(({ signal }) => signal?.aborted)).toEqual([true, true, true]);
    asked = [];
    const again = arrivals.fetch(first, 'demand');
    await answerAll();
    await expectRight(first, await again);
  });

  it('control: aborted by one of two readers, its requests go on for the other', async () => {
    const arrivals = start();
    const abort = new AbortController();
    const reads = [arrivals.fetch(first, 'demand', abort.signal), arrivals.fetch(first, 'demand')] as const;
    await settled();
    abort.abort();
    await expect(reads[0]).rejects.toMatchObject({ code: 'request/aborted' });
    await answerAll();
    await expectRight(first, await reads[1]);
    expect(asked).toHaveLength(3);
  });

  it('that fails says why, and the record can be asked for again', async () => {
    const arrivals = start();
    const read = arrivals.fetch(first, 'demand');
    const failed = expect(read).rejects.toMatchObject({ code: 'net/offline' });
    await settled();
    await asked[0]!.answer();
    await asked[1]!.fail(new NetError('net/offline', 'gone', { remedy: '', retryable: true }));
    await failed;
    expect(asked[2]!.signal?.aborted).toBe(true);
    asked = [];
    const again = arrivals.fetch(first, 'demand');
    await answerAll();
    await expectRight(first, await again);
  });
});

describe('the background', () => {
  it('has one request at a time, of a piece at the most, and asks for no byte twice', async () => {
    const arrivals = start(2_000);
    const all = Promise.all(experts.map((plan) => arrivals.fetch(plan, 'background')));
    await settled();
    for (let i = 0; i < asked.length; i++) {
      expect(asked).toHaveLength(i + 1);
      expect(asked[i]!.length).toBeLessThanOrEqual(2_000);
      await asked[i]!.answer();
    }
    await all;
    const nBytes = asked.reduce((sum, { length }) => sum + length, 0);
    expect(nBytes).toBe(rangesOf(...experts).reduce((sum, [, length]) => sum + length!, 0));
    for (const [i, bytes] of (await all).entries()) await expectRight(experts[i]!, bytes);
  });

  it('asks for records side by side together', async () => {
    const arrivals = start();
    const all = Promise.all(experts.map((plan) => arrivals.fetch(plan, 'background')));
    await answerAll();
    await all;
    // The test model's three tensors of experts lie side by side too.
    expect(asked).toHaveLength(1);
  });

  it('stands still at the border of a piece while something is demanded, and for a little while after', async () => {
    const arrivals = start(2_000);
    const guess = arrivals.fetch(first, 'background');
    await settled();
    expect(asked).toHaveLength(1);
    const read = arrivals.fetch(second, 'demand');
    await settled();
    expect(asked).toHaveLength(7);
    // The piece in flight ends; none follows.
    await asked[0]!.answer();
    expect(asked).toHaveLength(7);
    for (let i = 1; i < asked.length; i++) await asked[i]!.answer();
    await read;
    const behind = new Set(rangesOf(second).map(([offset]) => offset! + 4_000));
    expect(asked.filter(({ offset }) => behind.has(offset))).toHaveLength(3);
    expect(asked).toHaveLength(10);
    await settled();
    expect(asked).toHaveLength(10);
    nowMs += 1_000;
    sleeps[0]!();
    await answerAll();
    await expectRight(first, await guess);
  });

  it('that has begun a record somebody demands is not asked for it again: the rest comes as demanded', async () => {
    // A piece is one tensor's part of all eight, of which the first is in flight.
    const arrivals = start(experts.length * sourcesOf(first)[0]!.sizeBytes);
    const all = Promise.all(experts.map((plan) => arrivals.fetch(plan, 'background')));
    await settled();
    expect(asked).toHaveLength(1);
    const read = arrivals.fetch(third, 'demand');
    await settled();
    const inPiece = ([offset]: number[]) =>
      offset! >= asked[0]!.offset && offset! < asked[0]!.offset + asked[0]!.length;
    const rest = rangesOf(third).filter((range) => !inPiece(range));
    expect(rest).toHaveLength(2);
    expect(ranges(asked.slice(1)).sort()).toEqual(rest.sort());
    for (const each of [...asked]) await each.answer();
    await expectRight(third, await read);
    nowMs += 1_000;
    sleeps[0]!();
    await answerAll();
    for (const [i, bytes] of (await all).entries()) await expectRight(experts[i]!, bytes);
    const nBytes = asked.reduce((sum, { length }) => sum + length, 0);
    expect(nBytes).toBe(rangesOf(...experts).reduce((sum, [, length]) => sum + length!, 0));
  });
});

it('no guess is begun while somebody looks whether to demand something; a demand is', async () => {
  const arrivals = start();
  let looked = () => {};
  const looking = arrivals.demanding(
    () =>
      new Promise<void>((resolve) => {
        looked = resolve;
      }),
  );
  const guesses = [arrivals.fetch(second, 'ahead'), arrivals.fetch(third, 'background')];
  await settled();
  expect(asked).toEqual([]);
  const demand = arrivals.fetch(first, 'demand');
  await settled();
  expect(asked).toHaveLength(3);
  for (const each of [...asked]) await each.answer();
  await demand;
  expect(asked).toHaveLength(3);
  looked();
  await looking;
  nowMs += 1_000;
  await answerAll();
  await Promise.all(guesses);
});

describe('a read ahead', () => {
  it('is not begun while something is demanded, and goes before the background', async () => {
    const arrivals = start();
    const background = arrivals.fetch(third, 'background');
    await settled();
    const demand = arrivals.fetch(first, 'demand');
    const ahead = arrivals.fetch(second, 'ahead');
    await settled();
    expect(asked).toHaveLength(4);
    for (const each of [...asked]) await each.answer();
    await demand;
    await settled();
    const isSecond = new Set(rangesOf(second).map(([offset]) => offset!));
    expect(asked).toHaveLength(6);
    expect(asked.slice(4).every(({ offset }) => isSecond.has(offset))).toBe(true);
    await asked[4]!.answer();
    await asked[5]!.answer();
    await asked[6]!.answer();
    await expectRight(second, await ahead);
    nowMs += 1_000;
    for (const wake of sleeps) wake();
    await answerAll();
    await expectRight(third, await background);
  });
});

it('close ends what is in flight, and nothing can be asked for after', async () => {
  const arrivals = start();
  const reads = [arrivals.fetch(first, 'demand'), arrivals.fetch(second, 'background')];
  const ended = Promise.all(reads.map((read) => expect(read).rejects.toMatchObject({ code: 'request/aborted' })));
  await settled();
  arrivals.close();
  await ended;
  expect(asked.every(({ signal }) => signal?.aborted)).toBe(true);
  await expect(arrivals.fetch(third, 'demand')).rejects.toMatchObject({ code: 'request/aborted' });
});

/** Of one expert: the ranges that arrive, and the record that is made of them. */
const needBytes = fileBytes(first) + first.sizeBytes;

describe('bytes held', () => {
  const startWith = (limitBytes: number, keeps: boolean) => {
    const account = new ByteAccount(limitBytes);
    const arrivals = new Arrivals({
      clock,
      source: async () => source,
      rangeBytes: undefined,
      keep: () => keeps,
      account,
    });
    return { account, arrivals };
  };

  it('stay below the limit, however much is demanded at once, and are all given back', async () => {
    const { account, arrivals } = startWith(1.5 * needBytes, false);
    const reads = experts.map((plan) => arrivals.fetch(plan, 'demand'));
    await settled();
    // With room for them, six requests would be in flight.
    expect(ranges(asked).sort()).toEqual(rangesOf(first).sort());
    await answerAll();
    for (const [i, read] of reads.entries()) await expectRight(experts[i]!, await read);
    expect(account.peakBytes).toBe(needBytes);
    expect(account.heldBytes).toBe(0);
    // Eight records of three ranges each have come by way of the same three arrays.
    expect(places.size).toBe(3);
  });

  it('control: with room for two, two are begun', async () => {
    const { account, arrivals } = startWith(2 * needBytes, false);
    const reads = experts.map((plan) => arrivals.fetch(plan, 'demand'));
    await settled();
    expect(ranges(asked).sort()).toEqual(rangesOf(first, second).sort());
    await answerAll();
    await Promise.all(reads);
    expect(account.peakBytes).toBe(2 * needBytes);
  });

  it('are, of a record that is to be stored, held until it is: the next one waits for that', async () => {
    const { account, arrivals } = startWith(needBytes + first.sizeBytes - 1, true);
    const reads = [first, second].map((plan) => arrivals.fetch(plan, 'demand'));
    await answerAll();
    await expectRight(first, await reads[0]!);
    expect(account.heldBytes).toBe(first.sizeBytes);
    expect(asked).toHaveLength(3);
    account.give(first.sizeBytes);
    await answerAll();
    await expectRight(second, await reads[1]!);
    expect(account.heldBytes).toBe(second.sizeBytes);
  });

  it('of one record may pass the limit: it would never come', async () => {
    const { account, arrivals } = startWith(100, false);
    const read = arrivals.fetch(first, 'demand');
    await answerAll();
    await expectRight(first, await read);
    expect(account.peakBytes).toBe(needBytes);
  });

  it('by guesses are held to half the limit, and a demand waits for none of them', async () => {
    const { account, arrivals } = startWith(3.9 * needBytes, false);
    const guesses = [first, second, third].map((plan) => arrivals.fetch(plan, 'ahead'));
    await settled();
    expect(account.heldBytes).toBe(needBytes);
    const demands = experts.slice(3, 7).map((plan) => arrivals.fetch(plan, 'demand'));
    await settled();
    // As many as there is room for beside no guess, each with requests in flight: six at once.
    expect(account.heldBytes).toBe(3 * needBytes);
    await answerAll();
    for (const [i, demand] of demands.entries()) await expectRight(experts[3 + i]!, await demand);
    await answerAll();
    for (const [i, guess] of guesses.entries()) await expectRight(experts[i]!, await guess);
    expect(account.peakBytes).toBeLessThanOrEqual(4 * needBytes);
    expect(account.heldBytes).toBe(0);
  });

  it.each(['aborted', 'failed', 'closed'])('are given back by what is %s', async (how) => {
    const { account, arrivals } = startWith(needBytes, false);
    const abort = new AbortController();
    const reads = Promise.allSettled([first, second].map((plan) => arrivals.fetch(plan, 'demand', abort.signal)));
    await settled();
    await asked[0]!.answer();
    if (how === 'aborted') abort.abort();
    if (how === 'closed') arrivals.close();
    if (how === 'failed')
      for (const request of [...asked]) await request.fail(new NetError('net/offline', '', { remedy: '' }));
    await settled();
    for (const request of [...asked]) await request.fail(new NetError('net/offline', '', { remedy: '' }));
    expect((await reads).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(account.heldBytes).toBe(0);
  });
});
