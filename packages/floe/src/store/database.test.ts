/** The database survives its connection, and never holds a record that no manifest stands for. */
import { IDBFactory } from 'fake-indexeddb';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Database } from './database.ts';
import { testHost } from './host.testing.ts';
import { manifest } from './manifest.testing.ts';

const record = (key: string) => ({ key, bytes: Uint8Array.of(1, 2, 3), sha256: new Uint8Array(32) });

let factory: IDBFactory;
let db: Database;
beforeEach(async () => {
  factory = new IDBFactory();
  db = new Database(testHost(), factory);
  await db.putManifest(manifest);
});

describe('putRecords', () => {
  it('stores record and mark together', async () => {
    await db.putRecords(manifest, [record('a'), record('b')], 0);
    expect(await db.record(manifest.model, 'a')).toEqual(Uint8Array.of(1, 2, 3));
    expect((await db.marks(manifest.model, 'g1')).map(({ key }) => key)).toEqual(['a', 'b']);
  });

  it('is not done when its last request has succeeded: the transaction may still abort', async () => {
    const put = IDBObjectStore.prototype.put;
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, value, key) {
      const request = key === undefined ? put.call(this, value) : put.call(this, value, key);
      const transaction = this.transaction as IDBTransaction & { _abort(name: string): void };
      if (this.name === 'marks') request.addEventListener('success', () => transaction._abort('QuotaExceededError'));
      return request;
    });
    const stored = db.putRecords(manifest, [record('a')], 77);
    await expect(stored).rejects.toMatchObject({ code: 'store/quota', details: { neededBytes: 77 } });
    vi.restoreAllMocks();
    expect(await db.record(manifest.model, 'a')).toBeNull();
  });

  it('refuses a late write of another generation, and of a deleted model', async () => {
    await db.putManifest({ ...manifest, generation: 'g2' });
    await expect(db.putRecords(manifest, [record('a')], 0)).rejects.toMatchObject({ code: 'store/evicted' });
    await db.deleteModel(manifest.model);
    await expect(db.putRecords(manifest, [record('a')], 0)).rejects.toMatchObject({ code: 'store/evicted' });
    expect(await db.record(manifest.model, 'a')).toBeNull();
  });
});

describe('sweep', () => {
  it('removes records of another generation and leaves those of the manifest', async () => {
    await db.putRecords(manifest, [record('a')], 0);
    expect(await db.sweep()).toBe(0);
    await db.putManifest({ ...manifest, generation: 'g2' });
    expect(await db.sweep()).toBe(1);
    expect(await db.record(manifest.model, 'a')).toBeNull();
  });
});

describe('the connection', () => {
  it('is opened again after it was lost', async () => {
    const transaction = IDBDatabase.prototype.transaction;
    let left = 2;
    vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...args) {
      if (left-- > 0) throw new DOMException('The database connection is closing.', 'InvalidStateError');
      return transaction.apply(this, args);
    });
    expect((await db.manifest(manifest.model))?.generation).toBe('g1');
    vi.restoreAllMocks();
  });

  it('that never comes back is store/blocked', async () => {
    vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(() => {
      throw new DOMException('Connection to Indexed Database server lost.', 'UnknownError');
    });
    await expect(db.manifests()).rejects.toMatchObject({ code: 'store/blocked' });
    vi.restoreAllMocks();
  });

  it('makes way for a tab with a newer schema', async () => {
    await new Promise<void>((resolve, reject) => {
      const request = factory.open('floe', 2);
      request.onblocked = () => reject(new Error('blocked'));
      request.onsuccess = () => {
        request.result.close();
        resolve();
      };
    });
  });

  it('that another tab blocks for 5 s is store/blocked', async () => {
    const blocked = new IDBFactory();
    vi.spyOn(blocked, 'open').mockImplementation(() => new IDBOpenDBRequestThatWaits());
    await expect(new Database(testHost(), blocked).manifests()).rejects.toMatchObject({ code: 'store/blocked' });
  });
});

const IDBOpenDBRequestThatWaits = IDBOpenDBRequest as unknown as new () => ReturnType<IDBFactory['open']>;
