/** Saved conversations are whole or not there, whoever writes beside them and wherever a save is cut off. */
import { IDBFactory } from 'fake-indexeddb';
import { describe, expect, it, vi } from 'vitest';
import type { Host } from '../host/index.ts';
import { ConversationStore, type ConversationWriter, type SavedConversation } from './conversationStore.ts';
import { fakeLocks, testHost } from './host.testing.ts';

const fixed = {
  name: 'a',
  model: { outline: 'm', dense: null, experts: null },
  layout: 'l',
  answers: [],
  request: null,
} as const;
const block = (value: number) => new Uint8Array(64).fill(value);

/** Tabs of one origin: each with a store of its own. */
function origin(overrides: Partial<Host> = {}) {
  const indexedDB = new IDBFactory();
  const host = testHost({ indexedDB, locks: fakeLocks(), ...overrides });
  return { indexedDB, tab: () => new ConversationStore(host, host.indexedDB!) };
}

/** Saves blocks of these values, one transaction each; `meanwhile` runs before the last of them. */
async function save(writer: ConversationWriter, values: readonly number[], meanwhile = async () => {}): Promise<void> {
  await writer.save(values.length * 64, async (put): Promise<SavedConversation> => {
    const blocks: { position: number; sha256: string }[] = [];
    for (const [i, value] of values.entries()) {
      if (i === values.length - 1) await meanwhile();
      blocks.push({ position: i * 32, sha256: (await put([block(value)]))[0]! });
    }
    const [prompt, answer] = [Uint32Array.from(values), new Uint32Array(0)];
    return { ...fixed, prompt, answer, length: values.length * 32, blocks, blockBytes: 64, savedMs: 0 };
  });
}

/** The values of what is saved, of which each block must be there. */
async function read(store: ConversationStore): Promise<number[] | null> {
  const saved = await store.get('a');
  if (saved === null) return null;
  if (saved === 'damaged') throw new Error('damaged');
  const blocks = await store.blocks(saved);
  expect([...blocks.keys()]).toEqual(saved.blocks.map(({ position }) => position));
  expect([...blocks.values()].map((bytes) => bytes[0])).toEqual([...saved.prompt]);
  return [...saved.prompt];
}

async function nStoredBlocks(indexedDB: IDBFactory): Promise<number> {
  const request = indexedDB.open('floe-conversations');
  const db = await new Promise<IDBDatabase>((resolve) => {
    request.onsuccess = () => resolve(request.result);
  });
  const count = db.transaction('blocks').objectStore('blocks').count();
  await new Promise((resolve) => {
    count.onsuccess = resolve;
  });
  db.close();
  return count.result;
}

describe('a save', () => {
  it('replaces what was saved, and keeps no block of it that is not named', async () => {
    const { indexedDB, tab } = origin();
    const store = tab();
    const writer = store.writer('a');
    await save(writer, [1, 2, 3]);
    expect(await read(store)).toEqual([1, 2, 3]);
    await save(writer, [1, 2, 4, 5]);
    expect(await read(store)).toEqual([1, 2, 4, 5]);
    expect(await nStoredBlocks(indexedDB)).toBe(4);
    await store.delete('a');
    expect(await read(store)).toBeNull();
    expect(await nStoredBlocks(indexedDB)).toBe(0);
  });

  it('that is cut off between two of its pieces leaves what was there; what it wrote is swept by the next visit', async () => {
    const { indexedDB, tab } = origin();
    const first = tab();
    await save(first.writer('a'), [1, 2]);
    // A tab that dies: nothing of it runs on.
    const died = new Promise<void>((resolve) => {
      void save(tab().writer('a'), [3, 4, 5], () => {
        resolve();
        return new Promise(() => {});
      });
    });
    await died;
    expect(await nStoredBlocks(indexedDB)).toBe(4);
    expect(await read(first)).toEqual([1, 2]);
    // The browser gives a dead tab's locks back.
    const host = testHost({ indexedDB, locks: fakeLocks() });
    const next = new ConversationStore(host, indexedDB);
    await save(next.writer('b'), []);
    expect(await nStoredBlocks(indexedDB)).toBe(2);
    expect(await read(next)).toEqual([1, 2]);
  });

  it('that finds the storage full is store/quota, leaves what was there and takes no room', async () => {
    const { indexedDB, tab } = origin();
    const store = tab();
    const writer = store.writer('a');
    await save(writer, [1, 2]);
    const put = vi.spyOn(Object.getPrototypeOf(await storeOfBlocks(indexedDB)), 'put');
    const full = async () => {
      put.mockImplementation(() => {
        throw new DOMException('full', 'QuotaExceededError');
      });
    };
    await expect(save(writer, [3, 4, 5], full)).rejects.toMatchObject({ code: 'store/quota' });
    put.mockRestore();
    expect(await read(store)).toEqual([1, 2]);
    expect(await nStoredBlocks(indexedDB)).toBe(2);
    await save(writer, [3, 4, 5]);
    expect(await read(store)).toEqual([3, 4, 5]);
  });
});

describe('two tabs that save under one name', () => {
  it('never make one conversation of both: who began last goes on, the other is told', async () => {
    const { tab } = origin();
    const [one, other] = [tab(), tab()];
    const [first, second] = [one.writer('a'), other.writer('a')];
    await save(first, [1, 2]);
    const log: string[] = [];
    // The second begins while the first is in the middle of a save.
    let behind = Promise.resolve();
    await save(first, [1, 2, 3], async () => {
      behind = save(second, [7, 8]).then(() => void log.push('second'));
      await new Promise((resolve) => setTimeout(resolve, 20));
      log.push('first');
    });
    await behind;
    expect(log).toEqual(['first', 'second']);
    expect(await read(one)).toEqual([7, 8]);
    await expect(save(first, [1, 2, 3, 4])).rejects.toMatchObject({ code: 'store/evicted' });
    expect(await read(other)).toEqual([7, 8]);
    await save(second, [7, 8, 9]);
    expect(await read(one)).toEqual([7, 8, 9]);
  });

  it('and one that reads between two saves is told, and not that blocks are damaged', async () => {
    const { tab } = origin();
    const [one, other] = [tab(), tab()];
    await save(one.writer('a'), [1, 2]);
    const saved = (await one.get('a')) as SavedConversation;
    await save(other.writer('a'), [3]);
    await expect(one.blocks(saved)).rejects.toMatchObject({ code: 'store/evicted' });
  });

  it('and one whose conversation is deleted does not bring half of it back', async () => {
    const { tab } = origin();
    const [one, other] = [tab(), tab()];
    const writer = one.writer('a');
    await save(writer, [1, 2]);
    await other.delete('a');
    await expect(save(writer, [1, 2, 3])).rejects.toMatchObject({ code: 'store/evicted' });
    expect(await read(one)).toBeNull();
  });
});

describe('a connection that was lost', () => {
  it('is opened again: another tab wanted it closed', async () => {
    const { indexedDB, tab } = origin();
    const store = tab();
    await save(store.writer('a'), [1]);
    const gone = indexedDB.deleteDatabase('floe-conversations');
    await new Promise((resolve) => {
      gone.onsuccess = resolve;
    });
    expect(await read(store)).toBeNull();
    await save(store.writer('a'), [2]);
    expect(await read(store)).toEqual([2]);
  });

  it('for good is store/blocked, with what the browser said', async () => {
    const { indexedDB, tab } = origin();
    const store = tab();
    await save(store.writer('a'), [1]);
    const db = Object.getPrototypeOf((await storeOfBlocks(indexedDB)).transaction.db);
    const closing = vi.spyOn(db, 'transaction').mockImplementation(() => {
      throw new DOMException('closing', 'InvalidStateError');
    });
    await expect(store.get('a')).rejects.toMatchObject({ code: 'store/blocked', retryable: true });
    closing.mockRestore();
    expect(await read(store)).toEqual([1]);
  });
});

async function storeOfBlocks(indexedDB: IDBFactory): Promise<IDBObjectStore> {
  const request = indexedDB.open('floe-conversations');
  const db = await new Promise<IDBDatabase>((resolve) => {
    request.onsuccess = () => resolve(request.result);
  });
  const blocks = db.transaction('blocks').objectStore('blocks');
  db.close();
  return blocks;
}
