/** Which conversation a call goes on with, and when it is let in: on true blocks and sequences, without a GPU. */
import { describe, expect, it } from 'vitest';
import { Conversation, type Shared } from '../generate/conversation.ts';
import { KV_BLOCK } from '../kernels/index.ts';
import { KvBlocks, KvSequence, kvGeometry } from '../kv/index.ts';
import { Conversations, type InStorage, type Wanted } from './conversations.ts';

const window = { window: 96, nSinks: 4, slides: true, chunkTokens: 32 };
const geometry = kvGeometry(window);
/** Ids that no other text has. */
const text = (name: number, length: number) => Array.from({ length }, (_, i) => 1000 * name + i);
const never = new AbortController().signal;

/** Room for so many whole windows; what made room for others is in `spilled`, by its ids. */
function room({ nWindows = 2, nRows = 8 } = {}) {
  const blocks = new KvBlocks(nWindows * geometry.tableBlocks);
  const rows = Array.from({ length: nRows }, (_, row) => row);
  const seat = (sequence: KvSequence): Conversation => {
    const row = rows.pop()!;
    return new Conversation({ seat } as unknown as Shared, { sequence, row }, () => rows.push(row));
  };
  const engine = {
    kv: { blocks, geometry },
    open: () => seat(new KvSequence(blocks, window)),
    get hasFreeRow() {
      return rows.length > 0;
    },
  };
  const spilled: (readonly number[])[] = [];
  /** What is spilled waits for it. */
  const reading = { promise: Promise.resolve() };
  const conversations = new Conversations(engine, {
    keep: async ({ heldIds }) => {
      await reading.promise;
      spilled.push(heldIds);
    },
    bring: async () => {},
    forget: async () => {
      spilled.length = 0;
    },
  });
  /** As an engine would put it through. */
  const compute = (conversation: Conversation, ids: readonly number[]) => {
    conversation.reuse(ids);
    while (conversation.length < ids.length) {
      conversation.seat.sequence.extend(Math.min(KV_BLOCK, ids.length - conversation.length));
      conversation.seat.sequence.settle();
    }
    conversation.holds(ids);
  };
  const take = (shared: readonly number[], options: Partial<Wanted> = {}) =>
    conversations.take({ shared, nTokens: shared.length, signal: never, ...options });
  /** One call from its beginning to its end. */
  const call = async (ids: readonly number[], options: Partial<Wanted> = {}) => {
    const { conversation, release } = await take(ids, options);
    compute(conversation, ids);
    release();
    return conversation;
  };
  const restore = (ids: readonly number[]) => {
    const opened = engine.open();
    compute(opened, ids);
    return opened;
  };
  return { conversations, blocks, rows, spilled, reading, take, call, compute, restore };
}

/** Whether a promise has settled once all that could happen has. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => {
      settled = true;
    },
    () => {
      settled = true;
    },
  );
  await new Promise((resolve) => setTimeout(resolve, 5));
  return settled;
}

describe('a call goes on with', () => {
  it('the conversation that has most of its prompt, at its end', async () => {
    const { call, conversations } = room();
    const first = await call(text(1, 40));
    await call(text(2, 40));
    expect(await call([...text(1, 40), ...text(3, 8)])).toBe(first);
    expect(conversations.nLive).toBe(2);
  });

  it('a fork, where its prompt leaves one before the end: blocks are shared and the original stays', async () => {
    const { call, take, blocks, conversations } = room();
    const first = await call(text(1, 70));
    const nFree = blocks.nFree;
    const { conversation, release } = await take([...text(1, 64), ...text(2, 6)]);
    expect(conversation).not.toBe(first);
    expect(conversation.heldIds).toEqual(text(1, 64));
    expect(blocks.nFree).toBe(nFree);
    expect(first.heldIds).toEqual(text(1, 70));
    release();
    expect(conversations.nLive).toBe(2);
  });

  it('a new one, where none has a block of it', async () => {
    const { call, take } = room();
    const first = await call(text(1, 40));
    const { conversation } = await take([...text(1, KV_BLOCK - 1), ...text(2, 9)]);
    expect(conversation).not.toBe(first);
    expect(conversation.length).toBe(0);
  });

  it('the only one there may be, where there is no row for a fork', async () => {
    const { call } = room({ nRows: 1 });
    const first = await call(text(1, 70));
    expect(await call([...text(1, 64), ...text(2, 6)])).toBe(first);
  });

  it('one that another call answers in, by a fork', async () => {
    const { take, compute } = room();
    const { conversation: busy } = await take(text(1, 64));
    compute(busy, text(1, 64));
    const { conversation } = await take([...text(1, 64), 7]);
    expect(conversation).not.toBe(busy);
    expect(conversation.length).toBe(64);
  });
});

describe('a call is let in', () => {
  it('when all it may need is free of promises, and nobody passes one who waits', async () => {
    const { take } = room();
    const first = await take(text(1, 4), { nTokens: Number.POSITIVE_INFINITY });
    const second = await take(text(2, 4), { nTokens: 40 });
    const large = take(text(3, 4), { nTokens: 300 });
    const small = take(text(4, 4), { nTokens: 8 });
    expect(await isSettled(large)).toBe(false);
    expect(await isSettled(small)).toBe(false);
    second.release();
    (await large).release();
    (await small).release();
    first.release();
  });

  it('behind one that gave up', async () => {
    const { take } = room({ nWindows: 1 });
    const first = await take(text(1, 4), { nTokens: 300 });
    const gone = new AbortController();
    const waiting = take(text(2, 4), { signal: gone.signal });
    const next = take(text(3, 4));
    expect(await isSettled(waiting)).toBe(false);
    gone.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'request/aborted' });
    first.release();
    expect(await isSettled(next)).toBe(true);
  });

  it('at the cost of those not used for longest, which are kept elsewhere first', async () => {
    const { call, spilled, conversations, blocks } = room({ nWindows: 1 });
    await call(text(1, 60));
    await call(text(2, 60));
    await call([...text(1, 60), 7]);
    expect(spilled).toEqual([]);
    await call(text(3, 90));
    expect(spilled).toEqual([text(2, 60)]);
    expect(conversations.shared([...text(1, 60), 7, 8])).toBe(61);
    expect(blocks.nFree).toBe(1);
  });

  it('once what those held is read, and no block of it sooner', async () => {
    const { call, take, spilled, reading, blocks, conversations } = room({ nWindows: 1 });
    await call(text(1, 60));
    await call(text(2, 60));
    const { nFree } = blocks;
    let isRead = () => {};
    reading.promise = new Promise((resolve) => {
      isRead = resolve;
    });
    const taken = take(text(3, 90));
    expect(await isSettled(taken)).toBe(false);
    // It is nobody's to go on with.
    expect([blocks.nFree, spilled.length, conversations.shared(text(1, 60))]).toEqual([nFree, 0, 0]);
    isRead();
    const { release } = await taken;
    expect(spilled).toEqual([text(1, 60)]);
    expect(blocks.nFree).toBe(nFree + 2);
    release();
  });

  it('where as many are open as there may be, too', async () => {
    const { call, spilled } = room({ nRows: 2 });
    for (const name of [1, 2, 3]) await call(text(name, 40));
    expect(spilled).toEqual([text(1, 40)]);
  });

  it('and leaves nothing where nothing was computed', async () => {
    const { take, conversations, rows } = room();
    const { release } = await take(text(1, 40));
    expect(rows).toHaveLength(7);
    release();
    expect(conversations.nLive).toBe(0);
    expect(rows).toHaveLength(8);
  });
});

describe('what is saved', () => {
  const saved = (made: ReturnType<typeof room>, ids: readonly number[]) => {
    let nRead = 0;
    const inStorage: InStorage = {
      nShared: ids.length,
      blocks: {
        nBlocks: Math.ceil(ids.length / KV_BLOCK),
        open: async () => {
          nRead++;
          return made.restore(ids);
        },
      },
    };
    return { inStorage, nRead: () => nRead };
  };

  it('comes to the cache and is gone on with', async () => {
    const made = room();
    const { inStorage } = saved(made, text(1, 60));
    const { conversation } = await made.take([...text(1, 60), 7], { saved: inStorage });
    expect(conversation.length).toBe(60);
  });

  it('is not read where the cache has as much', async () => {
    const made = room();
    const first = await made.call(text(1, 60));
    const { inStorage, nRead } = saved(made, text(1, 60));
    const { conversation } = await made.take([...text(1, 60), 7], { saved: inStorage });
    expect(conversation).toBe(first);
    expect(nRead()).toBe(0);
  });

  it('is read where the cache has less', async () => {
    const made = room();
    await made.call(text(1, 40));
    const { inStorage, nRead } = saved(made, text(1, 60));
    const { conversation } = await made.take([...text(1, 60), 7], { saved: inStorage });
    expect([conversation.length, nRead()]).toEqual([60, 1]);
  });

  it('stays where it is while others need the room', async () => {
    const made = room({ nWindows: 1 });
    // All but two blocks are promised.
    const busy = await made.take(text(2, 4), { nTokens: 90 });
    const { inStorage, nRead } = saved(made, text(1, 90));
    const { conversation } = await made.take([...text(1, 20), 7], { saved: inStorage });
    expect([conversation.length, nRead()]).toEqual([0, 0]);
    busy.release();
  });

  it('and can not be read fails that call, and no other', async () => {
    const made = room();
    const open = () => Promise.reject(new Error('damaged'));
    const broken = { nShared: 60, blocks: { nBlocks: 2, open } };
    const failing = made.take([...text(1, 60), 7], { saved: broken });
    const next = made.take(text(2, 4));
    await expect(failing).rejects.toThrow('damaged');
    expect(await isSettled(next)).toBe(true);
  });
});

it('who wants to be alone waits for those who answer, holds up those who come, and forgets the others', async () => {
  const { call, take, conversations } = room();
  await call(text(1, 60));
  const busy = await take(text(2, 4));
  const alone = conversations.alone(never);
  const next = take(text(1, 61));
  expect(await isSettled(alone)).toBe(false);
  busy.release();
  const leave = await alone;
  expect(await isSettled(next)).toBe(false);
  expect(conversations.shared(text(1, 61))).toBe(0);
  leave();
  expect((await next).conversation.length).toBe(0);
});

it('is drained when nobody answers or waits', async () => {
  const { take, conversations } = room({ nWindows: 1 });
  const first = await take(text(1, 4), { nTokens: 300 });
  const second = take(text(2, 4));
  const drained = conversations.drained();
  first.release();
  const { release } = await second;
  expect(await isSettled(drained)).toBe(false);
  release();
  expect(await isSettled(drained)).toBe(true);
});
