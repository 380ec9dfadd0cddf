/** Weights come whole and right out of any source, are downloaded once, and a cut download goes on. */
import { type FaultServer, startFaultServer } from '@floe/testkit/faultServer';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Host } from '../host/index.ts';
import { Database } from './database.ts';
import { backends, testHost, testModel } from './host.testing.ts';
import { hex } from './manifest.ts';
import { deleteModel, listModels, type StoredModel } from './models.ts';
import type { StoreProgress } from './notices.ts';
import { type OpenWeightsOptions, openWeights } from './openWeights.ts';
import type { ModelSource } from './source.ts';
import { countRecords, expectRight, offline, type TestHeader, visitOptions } from './visit.testing.ts';

const { file, plans } = testModel();
describe.each(backends)('records in $backend', ({ makeFiles }) => {
  let server: FaultServer;
  let host: Host;
  beforeEach(async () => {
    server = await startFaultServer(file);
    host = testHost({ files: makeFiles() });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    return server[Symbol.asyncDispose]();
  });

  const open = (
    more: Partial<OpenWeightsOptions<TestHeader>> = {},
    on: Host = host,
    source: ModelSource = server.url,
  ) => openWeights(on, source, { ...visitOptions, ...more });

  async function fileSha256(bytes: Uint8Array<ArrayBuffer> = file): Promise<string> {
    return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
  }

  describe('a download', () => {
    it('stores each record as the GPU reads it, asks for nothing twice, and tells how far it is', async () => {
      const progress: StoreProgress[] = [];
      const opened = await open({ onProgress: (each) => progress.push(each) });
      expect(opened.from).toBe('network');
      await expectRight(opened);
      expect(opened.weights.storedBytes).toBe(plans.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
      expect(opened.weights.notices).toEqual([]);
      expect(server.requestedBytes()).toBeLessThanOrEqual(file.length * 1.05);
      expect(progress.at(0)).toMatchObject({ phase: 'download', loaded: 0 });
      expect(progress.at(-1)!.loaded).toBe(progress.at(-1)!.total);
      expect(progress.flatMap(({ notices }) => notices)).toEqual([]);
    });

    it('is read from the store at the second visit, with no network', async () => {
      await (await open()).weights.close();
      const opened = await open({}, offline(host));
      expect(opened.from).toBe('store');
      await expectRight(opened);
    });

    it('control: a first visit with no network is net/offline', async () => {
      await expect(open({}, offline(host))).rejects.toMatchObject({ code: 'net/offline' });
    });

    it('survives cut connections', async () => {
      server.fail({ kind: 'cutAfter', nBytes: 3_000, times: 10 });
      await expectRight(await open());
    });

    it('goes on where an abort stopped it; what was stored is not fetched again', async () => {
      const abort = new AbortController();
      const onProgress = ({ loaded, total }: StoreProgress) => loaded > total / 2 && abort.abort();
      server.fail({ kind: 'slow', pauseMs: 5 });
      await expect(open({ signal: abort.signal, onProgress })).rejects.toMatchObject({ code: 'request/aborted' });
      const [cut] = await listModels(host);
      expect(cut).toMatchObject({ complete: false, url: server.url });
      expect(cut!.storedBytes).toBeGreaterThan(0);

      server.fail();
      server.clearLog();
      const progress: StoreProgress[] = [];
      const opened = await open({ onProgress: (each) => progress.push(each) });
      await expectRight(opened);
      expect(opened.weights.notices.map(({ kind }) => kind)).toEqual(['resumed']);
      expect(progress.at(0)!.notices).toEqual(opened.weights.notices);
      // Beside what was missing there is the first request, and up to 4 KiB between records.
      const missing = opened.weights.storedBytes - cut!.storedBytes;
      expect(server.requestedBytes()).toBeLessThanOrEqual(missing + 3 * 4_096);
    });

    it('starts anew when the file changed since the cut, and mixes nothing', async () => {
      server.fail({ kind: 'cutAfter', nBytes: 12_000, times: 1 }, { kind: 'slow', pauseMs: 5 });
      const abort = new AbortController();
      const onProgress = ({ loaded, total }: StoreProgress) => loaded > total / 2 && abort.abort();
      await expect(open({ signal: abort.signal, onProgress })).rejects.toMatchObject({ code: 'request/aborted' });
      server.fail();
      server.replace(file, '"v2"');
      await expectRight(await open());
      expect((await listModels(host)).map(({ id }) => id)).toEqual([`${server.url}#${file.length}#"v2"`]);
    });

    it('stops with net/source-changed when the file changes under it', async () => {
      const onProgress = ({ loaded, total }: StoreProgress) => loaded > total / 2 && server.replace(file, '"v2"');
      server.fail({ kind: 'slow', pauseMs: 2 });
      await expect(open({ onProgress })).rejects.toMatchObject({ code: 'net/source-changed' });
    });

    it('is done by one of two tabs; the other waits and reads what it stored', async () => {
      const opened = await Promise.all([open(), open()]);
      for (const each of opened) await expectRight(each);
      // Both asked for the beginning.
      expect(server.requestedBytes()).toBeLessThanOrEqual(file.length * 1.05 + 4_096);
    });

    it('streams from a server without ranges, in one request, and says so', async () => {
      server.fail({ kind: 'noRanges' });
      const opened = await open();
      await expectRight(opened);
      expect(opened.weights.notices.map(({ kind }) => kind)).toEqual(['no-ranges']);
      expect(server.requests).toHaveLength(1);
    });

    it('leaves a complete model untouched when packed by this version, and fetches it anew when by another', async () => {
      await (await open()).weights.close();
      const db = new Database(host, host.indexedDB!);
      const [manifest] = await db.manifestsOf(server.url);
      await db.putManifest({ ...manifest!, packingVersion: -1 });
      db.close();
      const opened = await open();
      expect(opened.from).toBe('network');
      await expectRight(opened);
    });
  });

  describe('a published hash', () => {
    it.each(['ranges', 'stream'])('is checked over the whole file: %s', async (kind) => {
      if (kind === 'stream') server.fail({ kind: 'noRanges' });
      const opened = await open({ sha256: (await fileSha256()).toUpperCase() });
      await expectRight(opened);
      await opened.weights.close();
      expect((await open({ sha256: await fileSha256() }, offline(host))).from).toBe('store');
    });

    it.each(['ranges', 'stream', 'no storage', 'file'])(
      'keeps nothing of a file that has another: %s',
      async (kind) => {
        if (kind === 'stream') server.fail({ kind: 'noRanges' });
        const on = kind === 'no storage' ? { ...host, indexedDB: null } : host;
        const source = kind === 'file' ? new File([file], 'x.gguf') : server.url;
        const sha256 = await fileSha256(file.slice(1));
        await expect(open({ sha256 }, on, source)).rejects.toMatchObject({ code: 'net/source-changed' });
        expect(await listModels(host)).toEqual([]);
      },
    );

    it('is checked over a download that was cut and went on', async () => {
      const abort = new AbortController();
      const onProgress = ({ loaded, total }: StoreProgress) => loaded > total / 2 && abort.abort();
      server.fail({ kind: 'slow', pauseMs: 5 });
      await expect(open({ signal: abort.signal, onProgress })).rejects.toMatchObject({ code: 'request/aborted' });
      server.fail();
      await expectRight(await open({ sha256: await fileSha256() }));
    });
  });

  describe('a published hash that was not asked for at the first visit', () => {
    /** Opens by the URL alone, with no network: what is stored must still be the whole model. */
    const expectStillStored = async () => {
      const opened = await open({}, offline(host));
      expect(opened.from).toBe('store');
      await expectRight(opened);
      await opened.weights.close();
    };
    const wrong = 'ab'.repeat(32);
    beforeEach(async () => {
      await (await open()).weights.close();
    });

    it('is checked over what is stored, nothing of which is fetched again, and is known from then on', async () => {
      server.clearLog();
      const sha256 = await fileSha256();
      await (await open({ sha256 })).weights.close();
      // The header, twice, and what no record has.
      expect(server.requestedBytes()).toBeLessThan(file.length / 4);
      expect((await open({ sha256 }, offline(host))).from).toBe('store');
    });

    it.each(['ranges', 'stream'])('leaves the model as it was when it is wrong, time and again: %s', async (kind) => {
      if (kind === 'stream') server.fail({ kind: 'noRanges' });
      for (const _ of [1, 2]) {
        await expect(open({ sha256: wrong })).rejects.toMatchObject({ code: 'net/source-changed' });
        await expectStillStored();
      }
    });

    it('leaves the model as it was when another is known, and reads nothing of it', async () => {
      await (await open({ sha256: await fileSha256() })).weights.close();
      server.clearLog();
      await expect(open({ sha256: wrong })).rejects.toMatchObject({ code: 'net/source-changed' });
      expect(server.requestedBytes()).toBeLessThanOrEqual(2 * 4_096);
      await expectStillStored();
    });

    it.each(['download', 'verify'] as const)('leaves the model as it was at an abort: %s', async (at) => {
      const abort = new AbortController();
      const onProgress = ({ phase }: StoreProgress) => phase === at && abort.abort();
      const stopped = open({ sha256: await fileSha256(), signal: abort.signal, onProgress });
      await expect(stopped).rejects.toMatchObject({ code: 'request/aborted' });
      await expectStillStored();
    });

    it('is net/offline with no network, and leaves the model as it was', async () => {
      const sha256 = await fileSha256();
      await expect(open({ sha256 }, offline(host))).rejects.toMatchObject({ code: 'net/offline' });
      await expectStillStored();
    });
  });

  describe('without a store', () => {
    it('reads a File in place', async () => {
      const opened = await open({}, host, new File([file], 'tiny.gguf'));
      expect(opened).toMatchObject({ from: 'local', name: 'tiny.gguf', weights: { storedBytes: 0, notices: [] } });
      await expectRight(opened);
      expect(await listModels(host)).toEqual([]);
    });

    it.each(['ranges', 'stream'])('reads a URL into memory and says so: %s', async (kind) => {
      if (kind === 'stream') server.fail({ kind: 'noRanges' });
      const progress: StoreProgress[] = [];
      const opened = await open({ onProgress: (each) => progress.push(each) }, { ...host, indexedDB: null });
      await expectRight(opened);
      expect(opened.weights.notices[0]).toMatchObject({ kind: 'not-stored' });
      expect(progress.at(0)!.notices).toEqual(opened.weights.notices);
      expect(server.requestedBytes()).toBeLessThanOrEqual(file.length * 1.2);
      // And again, if it is asked for again.
      await expectRight(opened);
    });
  });

  it('reads a URL into memory where the browser forbids storage', async () => {
    const indexedDB = new IDBFactory();
    vi.spyOn(indexedDB, 'open').mockImplementation(() => {
      throw new DOMException('denied', 'SecurityError');
    });
    const opened = await open({}, { ...host, indexedDB });
    await expectRight(opened);
    expect(opened.weights.notices[0]).toMatchObject({ kind: 'not-stored' });
    expect(await listModels({ ...host, indexedDB })).toEqual([]);
    await deleteModel({ ...host, indexedDB }, server.url);
  });

  describe('deleteModel', () => {
    it('refuses while the model is open, and leaves nothing once it is closed', async () => {
      const opened = await open();
      await expect(deleteModel(host, server.url)).rejects.toMatchObject({ code: 'store/blocked' });
      await opened.weights.close();
      await deleteModel(host, server.url);
      expect(await listModels(host)).toEqual([]);
      expect(await countRecords(host)).toBe(0);
    });

    it.each<[string, (url: string, id: string) => string | URL]>([
      ['its URL with a query', (url) => `${url}?token=1`],
      ['a URL object', (url) => new URL(url)],
      ['its id', (_, id) => id],
    ])('takes %s', async (_, nameOf) => {
      await (await open()).weights.close();
      const [{ id, url }] = (await listModels(host)) as [StoredModel];
      await deleteModel(host, nameOf(url, id));
      expect(await listModels(host)).toEqual([]);
    });

    it.each(['no model of that name', 'https://elsewhere.example/x.gguf'])(
      'does nothing for what is not stored: %s',
      async (name) => {
        await (await open()).weights.close();
        await deleteModel(host, name);
        expect(await listModels(host)).toHaveLength(1);
      },
    );

    it('by an id that is gone deletes no other version of the file', async () => {
      await (await open()).weights.close();
      const [{ id }] = (await listModels(host)) as [StoredModel];
      await deleteModel(host, `${id}-older`);
      expect(await listModels(host)).toHaveLength(1);
    });
  });
});
