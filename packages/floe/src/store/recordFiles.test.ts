/** Records as files: whole and named, or not there; whatever the files refuse, the database takes. */
import { IDBFactory } from 'fake-indexeddb';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Host } from '../host/index.ts';
import { Database } from './database.ts';
import { FakeFiles, type FileCall } from './files.testing.ts';
import { testHost } from './host.testing.ts';
import { FILES_LOCK, sharing } from './locks.ts';
import { manifest } from './manifest.testing.ts';
import type { StoreNotice } from './notices.ts';
import { countRecords } from './visit.testing.ts';

const { model } = manifest;
const record = (key: string, nBytes: number, fill = 1) => ({
  key,
  bytes: new Uint8Array(nBytes).fill(fill),
  sha256: new Uint8Array(32),
});
/** The fewest bytes of a file: `small` stays in the database. */
const LEAST_BYTES = 8;
const [small, large, larger] = [record('small', 7), record('large', 8, 2), record('larger', 30, 3)];

let files: FakeFiles;
let host: Host;
let db: Database;
let notices: StoreNotice[];
beforeEach(async () => {
  files = new FakeFiles(LEAST_BYTES);
  host = testHost({ files, indexedDB: new IDBFactory() });
  notices = [];
  db = open();
  await db.putManifest(manifest);
});

/** A tab of its own; what it shares with the others is the storage. */
function open(on: Host = host): Database {
  return new Database(on, host.indexedDB!, (notice) => notices.push(notice));
}

const failAt = (...calls: FileCall[]) => {
  files.faults.onCall = (what, path) => {
    if (calls.includes(what)) throw new DOMException(`${what} ${path}`, 'UnknownError');
  };
};
const marked = async () => (await db.marks(model, 'g1')).map(({ key, file }) => [key, file !== undefined]);

describe('a record', () => {
  it('of enough bytes is a file, of fewer it is in the database; both are read as they were', async () => {
    await db.putRecords(manifest, [small, large, larger], 0);
    expect(await marked()).toEqual([
      ['large', true],
      ['larger', true],
      ['small', false],
    ]);
    expect([...files.contents.values()].map(({ bytes }) => bytes.length)).toEqual([8, 30]);
    for (const { key, bytes } of [small, large, larger]) expect(await open().record(model, key)).toEqual(bytes);
    expect(notices).toEqual([]);
  });

  it('is on the disk before its mark is written', async () => {
    const order: string[] = [];
    files.faults.onCall = (what, path) => {
      if (what === 'flush' && path.startsWith('floe/g1/')) order.push('flushed');
    };
    const put = IDBObjectStore.prototype.put;
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, ...args) {
      order.push(this.name);
      return put.apply(this, args);
    });
    await db.putRecords(manifest, [large], 0);
    vi.restoreAllMocks();
    expect(order).toEqual(['flushed', 'marks']);
  });

  it('that is written a few bytes at a time is whole', async () => {
    files.faults.writeBytes = 3;
    await db.putRecords(manifest, [larger], 0);
    expect(await db.record(model, 'larger')).toEqual(larger.bytes);
  });

  it('of many megabytes lets others have the thread between its pieces', async () => {
    let nSleeps = 0;
    const sleep: Host['clock']['sleep'] = async (...args) => {
      nSleeps++;
      return host.clock.sleep(...args);
    };
    const huge = record('huge', 17 * 2 ** 20, 4);
    const tab = open({ ...host, clock: { ...host.clock, sleep } });
    // Opened before: that takes a timer too.
    await tab.marks(model, 'g1');
    nSleeps = 0;
    await tab.putRecords(manifest, [huge], 0);
    expect(nSleeps).toBe(2);
    expect(Buffer.compare((await tab.record(model, 'huge'))!, huge.bytes)).toBe(0);
  });

  it('whose tab dies in the middle of it is not there at the next visit, and its bytes are swept', async () => {
    let dead = false;
    files.faults = {
      writeBytes: 10,
      onCall: (what, path) => {
        if (what === 'write' && (files.contents.get(path)?.bytes.length ?? 0) >= 20) dead = true;
        // No call of that tab is heard of any more, its clearing up neither.
        if (dead) throw new Error('the tab has died');
      },
    };
    await expect(db.putRecords(manifest, [larger], 0)).rejects.toThrow('died');
    expect([...files.contents.values()].map(({ bytes }) => bytes.length)).toEqual([20]);
    files.faults = {};
    const next = open();
    expect(await next.marks(model, 'g1')).toEqual([]);
    expect(await next.record(model, 'larger')).toBeNull();
    expect(await next.sweep()).toBe(1);
    expect(files.contents.size).toBe(0);
  });

  it('of which no bytes are left behind when the model is another’s by now, or the disk is full', async () => {
    await expect(db.putRecords({ ...manifest, generation: 'g0' }, [large], 0)).rejects.toMatchObject({
      code: 'store/evicted',
    });
    files.faults.quotaBytes = 20;
    const full = db.putRecords(manifest, [large, larger], 77);
    await expect(full).rejects.toMatchObject({ code: 'store/quota', details: { neededBytes: 77 } });
    expect(files.contents.size).toBe(0);
    expect(await marked()).toEqual([]);
    // There is room again.
    files.faults = {};
    await db.putRecords(manifest, [large, larger], 0);
    expect(await marked()).toHaveLength(2);
  });

  it('that is put again is a new file, and the old one goes', async () => {
    await db.putRecords(manifest, [large], 0);
    const [before] = files.contents.keys();
    await db.putRecords(manifest, [record('large', 8, 9)], 0);
    expect(await db.record(model, 'large')).toEqual(new Uint8Array(8).fill(9));
    expect([...files.contents.keys()]).toHaveLength(1);
    expect(files.contents.has(before!)).toBe(false);
  });

  it.each([0, 5])('whose file has %i bytes is handed out as it is; whose file is gone is null', async (nBytes) => {
    await db.putRecords(manifest, [large], 0);
    const [path] = files.contents.keys();
    files.contents.set(path!, { bytes: new Uint8Array(nBytes), nOpen: 0 });
    expect(await db.record(model, 'large')).toHaveLength(nBytes);
    files.contents.delete(path!);
    expect(await db.record(model, 'large')).toBeNull();
  });
});

describe('readers of one file', () => {
  it.each([
    ['side by side, by handles', {}, 'nHandleReads'],
    ['by way of a blob while another has it alone', { modes: false }, 'nBlobReads'],
    ['by way of a blob in a page, which has no handles', { handles: false }, 'nBlobReads'],
  ] as const)('%s', async (_, faults, way) => {
    await db.putRecords(manifest, [larger], 0);
    files.faults = faults;
    const before = { nHandleReads: files.nHandleReads, nBlobReads: files.nBlobReads };
    const [path] = files.contents.keys();
    const [, generation, name] = path!.split('/');
    const folder = await (await (await files.root()).getDirectoryHandle('floe')).getDirectoryHandle(generation!);
    const other = await (await folder.getFileHandle(name!)).createSyncAccessHandle?.({ mode: 'read-only' });
    expect(await open().record(model, 'larger')).toEqual(larger.bytes);
    other?.close();
    expect(files[way]).toBe(before[way] + 1);
    expect(files.contents.get(path!)?.nOpen).toBe(0);
  });
});

describe('files that refuse', () => {
  it.each<FileCall>(['root', 'folder', 'file', 'open', 'write', 'flush', 'read'])(
    '%s, from the beginning: all is in the database, and that is noticed once',
    async (call) => {
      failAt(call);
      await db.putRecords(manifest, [large], 0);
      await db.putRecords(manifest, [larger], 0);
      expect(await db.record(model, 'large')).toEqual(large.bytes);
      expect(await marked()).toEqual([
        ['large', false],
        ['larger', false],
      ]);
      expect(notices.map(({ kind }) => kind)).toEqual(['slow-storage']);
    },
  );

  it('after a while: what is a file is read, the rest is in the database', async () => {
    await db.putRecords(manifest, [large], 0);
    failAt('write');
    await db.putRecords(manifest, [larger], 0);
    expect(notices.map(({ kind }) => kind)).toEqual(['slow-storage']);
    files.faults = {};
    for (const { key, bytes } of [large, larger]) expect(await open().record(model, key)).toEqual(bytes);
  });

  it('in this visit and did not in the last: what was a file is null, and is put in the database', async () => {
    await db.putRecords(manifest, [large], 0);
    const next = open();
    failAt('root');
    expect(await next.record(model, 'large')).toBeNull();
    await next.putRecords(manifest, [large], 0);
    expect(await next.record(model, 'large')).toEqual(large.bytes);
    files.faults = {};
    expect(await next.sweep()).toBe(1);
  });

  it('no more: what an earlier visit put in the database is read from there, and new records are files', async () => {
    await open({ ...host, files: null }).putRecords(manifest, [large], 0);
    await db.putRecords(manifest, [larger], 0);
    expect(await marked()).toEqual([
      ['large', false],
      ['larger', true],
    ]);
    for (const { key, bytes } of [large, larger]) expect(await db.record(model, key)).toEqual(bytes);
  });
});

describe('what is removed', () => {
  it('is a model’s whole folder, and of another nothing', async () => {
    const other = { ...manifest, model: 'other', generation: 'g2' };
    await db.putManifest(other);
    await db.putRecords(manifest, [small, large], 0);
    await db.putRecords(other, [small, large], 0);
    await db.deleteModel(model);
    expect([...files.contents.keys()]).toEqual([expect.stringMatching(/^floe\/g2\//)]);
    expect(await db.record('other', 'large')).toEqual(large.bytes);
  });

  it('is swept later where another has it open', async () => {
    await db.putRecords(manifest, [large], 0);
    const [content] = files.contents.values();
    content!.nOpen = 1;
    await db.deleteModel(model);
    expect(files.contents.size).toBe(1);
    content!.nOpen = 0;
    expect(await db.sweep()).toBe(1);
    expect(files.contents.size).toBe(0);
  });

  it('by a sweep is no file that a tab is writing just now, whose mark is yet to come', async () => {
    files.contents.set('floe/g1/unnamed', { bytes: new Uint8Array(9), nOpen: 0 });
    await sharing(host, FILES_LOCK, async () => expect(await db.sweep()).toBe(0));
    expect(files.contents.size).toBe(1);
    expect(await db.sweep()).toBe(1);
    expect(await countRecords(host)).toBe(0);
  });
});
