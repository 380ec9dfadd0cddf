/** Conversations that outlive the page: cut off in the middle, damaged, another model's. */

import { logSoftmax, worst } from '@floe/testkit/expectNear';
import { testGpu } from '@floe/testkit/nodeGpu';
import { randomModel } from '@floe/testkit/randomModel';
import 'fake-indexeddb/auto';
import { IDBFactory } from 'fake-indexeddb';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { readBuffer } from '../gpu/index.ts';
import type { Host } from '../host/index.ts';
import { nodeHost } from '../host/node.ts';
import { fakeLocks } from '../store/host.testing.ts';
import { loadInThread, type ThreadOptions } from './load.ts';
import type { LocalModel } from './model.ts';
import type { ChatCompletionChunk, Model } from './types.ts';

const small = { nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, ffDim: 96, nVocab: 320 } as const;
const bytesOf = (seed: number) => randomModel({ ...small, architecture: 'llama', type: 'Q8_0', seed });
const experts = { architecture: 'arctic', nExperts: 16, nExpertsUsed: 2, expertDim: 96 } as const;
const withExperts = randomModel({ ...small, ...experts, type: 'Q8_0', seed: 3 });
const PROMPT = 'the quick brown fox jumps over the lazy dog and then it rests for a while in the sun';
const N = 80;
const greedy = { prompt: PROMPT, temperature: 0, max_tokens: N } as const;

const loaded: Model[] = [];
afterAll(() => Promise.all(loaded.map((model) => model.unload())));

const locks = fakeLocks();

/** A page's visit: what it stores outlives it in `indexedDB`. */
async function visit(
  indexedDB: IDBFactory,
  { bytes = bytesOf(1), ...options }: ThreadOptions & { bytes?: Uint8Array } = {},
) {
  const host: Host = { ...nodeHost(testGpu()), indexedDB, locks };
  const model = await loadInThread(host, new Blob([bytes as Uint8Array<ArrayBuffer>]), options);
  loaded.push(model);
  return model;
}

/** Reads `most` tokens' chunks, then no more: as a page that is gone. */
async function read(stream: AsyncIterable<ChatCompletionChunk>, most = Number.POSITIVE_INFINITY) {
  let [text, n] = ['', 0];
  const iterator = stream[Symbol.asyncIterator]();
  let usage: ChatCompletionChunk['usage'];
  while (n < most) {
    const { value, done } = await iterator.next();
    if (done) break;
    text += value.choices[0].delta.content ?? '';
    usage = value.usage ?? usage;
    n++;
  }
  return { text, usage };
}

/** Until the store has so many of the answer's tokens: saves are not waited for. */
async function saved(model: Model, name: string, least: number) {
  for (;;) {
    const found = (await model.conversations.list()).find((one) => one.name === name);
    if (found && found.answerTokens >= least) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function database(indexedDB: IDBFactory): Promise<IDBDatabase> {
  const request = indexedDB.open('floe-conversations');
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function change(indexedDB: IDBFactory, store: string, how: (value: never) => unknown): Promise<void> {
  const db = await database(indexedDB);
  const tx = db.transaction(store, 'readwrite');
  const cursor = tx.objectStore(store).openCursor();
  cursor.onsuccess = () => cursor.result!.update(how(cursor.result!.value as never));
  await new Promise<unknown>((resolve) => {
    tx.oncomplete = resolve;
  });
  db.close();
}

const flipABit = (bytes: Uint8Array) => {
  bytes[bytes.length >> 1]! ^= 1;
  return bytes;
};

/** Ids that follow what is said, whatever the model would say. */
const PROBE = [41, 7, 180, 99];

/**
 * Log-probabilities [ids, nVocab] behind the last of these ids and each of the probe, by steps that see the keys and values
 * which the model has of the ids before; none of those is computed again. `change` is made to their bytes.
 */
async function probe(model: Model, ids: readonly number[], change = (bytes: Uint8Array) => bytes) {
  const { answers, parts } = model as unknown as { answers: LocalModel['answers']; parts: LocalModel['parts'] };
  const { engine, device, info } = parts;
  const signal = new AbortController().signal;
  const { conversation, release } = await answers.conversations.take({ shared: ids, nTokens: ids.length + 8, signal });
  const nComputed = conversation.reuse(ids);
  const held = conversation.seat.sequence.heldBlocks();
  const bytes = await engine.kv.read(held.map(({ block }) => block));
  const positions = held.map(({ position }) => position);
  const copy = engine.restore(ids, ids.length - 1, positions);
  for (const { position, block } of copy.seat.sequence.heldBlocks())
    engine.kv.write(block, change(bytes[positions.indexOf(position)]!));
  const rows: Float64Array[] = [];
  for (const given of [ids.at(-1)!, ...PROBE]) {
    await (await copy.decode({ kind: 'greedy' }, 0, signal, given)).wait();
    const logits = await readBuffer(device, engine.steps.s.logits.buffer, 0, info.nVocab * 4);
    rows.push(logSoftmax(new Float32Array(logits)));
  }
  copy.close();
  release();
  expect(nComputed).toBe(ids.length - 1);
  return rows.flatMap((row) => [...row]);
}

const uninterrupted = (async () => (await visit(new IDBFactory())).completions.create(greedy))();

describe('an answer cut off in the middle', () => {
  it.each([
    { name: 'plainly', options: {} },
    { name: 'beyond its window, in Q8_0', options: { context: { window: 48, kv: 'Q8_0' } } },
    { name: 'with the fewest experts on the GPU', options: { bytes: withExperts, budget: { gpuBytes: 'min' } } },
  ] as { name: string; options: ThreadOptions & { bytes?: Uint8Array } }[])(
    'goes on with the tokens it would have had, $name',
    async ({ options }) => {
      const whole = await (await visit(new IDBFactory(), options)).completions.create(greedy);
      const storage = new IDBFactory();
      const first = await visit(storage, options);
      await read(first.completions.create({ ...greedy, stream: true, save: 'a' }), 50);
      const { answerTokens, promptTokens } = await saved(first, 'a', 33);
      expect(answerTokens).toBeLessThan(N);
      const second = await visit(storage, options);
      const { text, usage } = await read(second.conversations.resume('a'));
      expect(text).toBe(whole.text);
      // Nothing was computed again.
      expect(usage).toMatchObject({ cachedTokens: promptTokens, completion_tokens: whole.ids.length });
      // It was saved on: it can be had again.
      expect(await saved(second, 'a', whole.ids.length)).toMatchObject({ answerTokens: whole.ids.length });
      const again = await read((await visit(storage, options)).conversations.resume('a'));
      expect(again.text).toBe(whole.text);
    },
  );

  it('and so does a drawn one: its draws go on where they were', async () => {
    const drawn = { ...greedy, temperature: 1.5, seed: 7 };
    const storage = new IDBFactory();
    const first = await visit(storage);
    const whole = await first.completions.create(drawn);
    await read(first.completions.create({ ...drawn, stream: true, save: 'a' }), 40);
    await saved(first, 'a', 1);
    expect((await read((await visit(storage)).conversations.resume('a'))).text).toBe(whole.text);
    expect(whole.text).not.toBe((await uninterrupted).text);
  });

  it('a next turn under its name finds what was computed', async () => {
    const storage = new IDBFactory();
    const { text } = await (await visit(storage)).completions.create({ ...greedy, save: 'a' });
    const model = await visit(storage);
    const prompt = `${PROMPT}${text} and`;
    const turn = await model.completions.create({ ...greedy, prompt, max_tokens: 4, save: 'a' });
    expect(turn.usage.cachedTokens).toBeGreaterThan(30);
    const fresh = await (await visit(new IDBFactory())).completions.create({ ...greedy, prompt, max_tokens: 4 });
    expect(fresh.usage.cachedTokens).toBe(0);
    expect(turn.ids).toEqual(fresh.ids);
  });
});

it('a chat goes on behind a reload with the very ids of its answers, whatever a tokenizer makes of their text', async () => {
  const storage = new IDBFactory();
  const messages = [{ role: 'user', content: 'the quick brown fox' }];
  const ask = async (model: Model) => {
    const answer = await model.chat.completions.create({ messages, temperature: 0, max_tokens: 12, save: 'chat' });
    messages.push({ role: 'assistant', content: answer.choices[0].message.content! });
    messages.push({ role: 'user', content: 'and then' });
    return answer.usage;
  };
  const first = await visit(storage);
  await ask(first);
  const { prompt_tokens, completion_tokens } = await ask(first);
  const later = [...messages];
  const third = await ask(await visit(storage));
  expect(third.cachedTokens).toBeGreaterThanOrEqual(prompt_tokens + completion_tokens - 1);
  // Control: whoever does not know the answers makes other ids of their text.
  messages.splice(0, messages.length, ...later);
  expect((await ask(await visit(new IDBFactory()))).prompt_tokens).not.toBe(third.prompt_tokens);
});

it('of two answers under one name, the one that was asked for last is saved', async () => {
  const storage = new IDBFactory();
  const model = await visit(storage);
  const first = model.completions.create({ ...greedy, stream: true, save: 'a' })[Symbol.asyncIterator]();
  for (let i = 0; i < 20; i++) await first.next();
  const other = await model.completions.create({ ...greedy, prompt: `${PROMPT} while`, max_tokens: 40, save: 'a' });
  while (!(await first.next()).done);
  const { text } = await read((await visit(storage)).conversations.resume('a'));
  expect(text).toBe(other.text);
  await expect(model.completions.create({ ...greedy, save: '\0spilled' })).rejects.toMatchObject({
    code: 'request/invalid',
  });
});

it('of two under one name that begin at once, the same, and the first is no failure', async () => {
  const storage = new IDBFactory();
  const model = await visit(storage);
  const asked = [PROMPT, `${PROMPT} while`].map((prompt) => model.completions.create({ ...greedy, prompt, save: 'a' }));
  const [, last] = await Promise.all(asked);
  expect((await model.memory()).notices.filter(({ kind }) => kind === 'not-saved')).toEqual([]);
  expect((await read((await visit(storage)).conversations.resume('a'))).text).toBe(last!.text);
});

it('in two tabs under one name, whose answers take turns: who began last is saved, whole, and the other is told', async () => {
  const storage = new IDBFactory();
  const tabs = [await visit(storage), await visit(storage)];
  const prompts = [PROMPT, `${PROMPT} while`];
  const alone = await (await visit(new IDBFactory())).completions.create({ ...greedy, prompt: prompts[1]! });
  const streams = tabs.map((tab, i) =>
    tab.completions.create({ ...greedy, prompt: prompts[i]!, stream: true, save: 'a' })[Symbol.asyncIterator](),
  );
  await streams[0]!.next();
  await saved(tabs[0]!, 'a', 1);
  for (let i = 0; i < 2 * N; i++) await streams[i % 2]!.next();
  for (const stream of streams) while (!(await stream.next()).done);
  const notices = await Promise.all(tabs.map(async (tab) => (await tab.memory()).notices.map(({ kind }) => kind)));
  expect(notices).toEqual([['not-saved'], []]);
  expect((await read((await visit(storage)).conversations.resume('a'))).text).toBe(alone.text);
});

it('a save that finds no room is told once, and the answer goes on; the next one that finds some is saved', async () => {
  const storage = new IDBFactory();
  const model = await visit(storage);
  const { put } = IDBObjectStore.prototype;
  const full = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, ...args) {
    if (this.name === 'blocks') throw new DOMException('full', 'QuotaExceededError');
    return put.apply(this, args);
  });
  const { text } = await model.completions.create({ ...greedy, save: 'a' });
  expect(full.mock.calls.length).toBeGreaterThan(1);
  full.mockRestore();
  expect(text).toBe((await uninterrupted).text);
  const told = (await model.memory()).notices.filter(({ kind }) => kind === 'not-saved');
  expect(told).toHaveLength(1);
  expect(told[0]!.message).toMatch(/^a could not be saved: This origin's storage is full/);
  expect(await model.conversations.list()).toEqual([]);
  await model.completions.create({ ...greedy, save: 'a' });
  expect((await read((await visit(storage)).conversations.resume('a'))).text).toBe(text);
});

it('what the cache still has is not read from storage', async () => {
  const model = await visit(new IDBFactory());
  await model.completions.create({ ...greedy, max_tokens: 40, save: 'a' });
  const get = vi.spyOn(IDBObjectStore.prototype, 'get');
  const { usage } = await read(model.conversations.resume('a'));
  expect(get.mock.contexts.filter((store) => (store as IDBObjectStore).name === 'blocks')).toEqual([]);
  get.mockRestore();
  expect(usage).toMatchObject({ cachedTokens: usage!.prompt_tokens, completion_tokens: 40 });
});

describe('what was saved and is', () => {
  it('damaged is refused; computed again, it goes on all the same, and says how far that is', async () => {
    const storage = new IDBFactory();
    const first = await visit(storage);
    await read(first.completions.create({ ...greedy, stream: true, save: 'a' }), 50);
    await saved(first, 'a', 33);
    await change(storage, 'blocks', flipABit);
    const model = await visit(storage);
    await expect(read(model.conversations.resume('a'))).rejects.toMatchObject({ code: 'context/damaged' });
    const heard: number[] = [];
    const onProgress = ({ tokens }: { tokens: number }) => heard.push(tokens);
    const { text } = await read(model.conversations.resume('a', { rebuild: true, onProgress }));
    expect(text).toBe((await uninterrupted).text);
    expect(heard.length).toBeGreaterThan(0);
    expect((await model.memory()).notices.map(({ kind }) => kind)).toContain('rebuilt');
  });

  it('damaged, and computed again, has the log-probabilities it had within 2e-3', async () => {
    const storage = new IDBFactory();
    const first = await visit(storage);
    const { ids } = await first.completions.create(greedy);
    const all = [...(await first.tokenize(PROMPT, { special: true, addSpecial: true })), ...ids];
    const expected = await probe(first, all);
    await read(first.completions.create({ ...greedy, stream: true, save: 'a' }), 50);
    await saved(first, 'a', 33);
    await change(storage, 'blocks', flipABit);
    const model = await visit(storage);
    await expect(read(model.conversations.resume('a'))).rejects.toMatchObject({ code: 'context/damaged' });
    await read(model.conversations.resume('a', { rebuild: true }));
    const found = await probe(model, all);
    expect(worst(found, expected).difference).toBeLessThan(2e-3);
    // Control: keys and values of which a block is not what it was.
    const damaged = await probe(model, all, (bytes) => bytes.fill(0));
    expect(worst(damaged, expected).difference).toBeGreaterThan(2e-2);
  });

  it('damaged in its ids is refused for good', async () => {
    const storage = new IDBFactory();
    await (await visit(storage)).completions.create({ ...greedy, max_tokens: 4, save: 'a' });
    await change(storage, 'conversations', (value: { conversation: { answer: Uint32Array } }) => {
      value.conversation.answer[1]! ^= 1;
      return value;
    });
    const model = await visit(storage);
    for (const rebuild of [false, true])
      await expect(read(model.conversations.resume('a', { rebuild }))).rejects.toMatchObject({
        code: 'context/damaged',
      });
  });

  it("another model's, or not there, is refused; deleted, it is gone", async () => {
    const storage = new IDBFactory();
    const first = await visit(storage);
    await first.completions.create({ ...greedy, max_tokens: 4, save: 'a' });
    const other = await visit(storage, { bytes: bytesOf(2) });
    await expect(read(other.conversations.resume('a'))).rejects.toMatchObject({ code: 'context/other-model' });
    expect(await other.conversations.list()).toEqual([]);
    await expect(read(first.conversations.resume('b'))).rejects.toMatchObject({ code: 'context/not-saved' });
    await first.conversations.delete('a');
    await expect(read(first.conversations.resume('a'))).rejects.toMatchObject({ code: 'context/not-saved' });
  });

  it('kept in another format is computed again', async () => {
    const storage = new IDBFactory();
    await (await visit(storage)).completions.create({ ...greedy, max_tokens: 20, save: 'a' });
    const other = await visit(storage, { context: { kv: 'F16' } });
    const { usage } = await read(other.conversations.resume('a'));
    expect(usage).toMatchObject({ cachedTokens: 0, completion_tokens: 20 });
  });
});

it('where there is no storage, saving is refused before anything is computed', async () => {
  const model = await loadInThread(nodeHost(testGpu()), new Blob([bytesOf(1) as Uint8Array<ArrayBuffer>]));
  loaded.push(model);
  await expect(model.completions.create({ ...greedy, save: 'a' })).rejects.toMatchObject({ code: 'store/blocked' });
});
