/** A store that was damaged, robbed or full heals, and no wrong byte is ever used. */
import { type FaultServer, startFaultServer } from '@floe/testkit/faultServer';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Host } from '../host/index.ts';
import { backends, idleClock, testHost, testModel } from './host.testing.ts';
import { hex } from './manifest.ts';
import { deleteModel, listModels } from './models.ts';
import { type OpenWeightsOptions, openWeights } from './openWeights.ts';
import type { ModelSource } from './source.ts';
import {
  countRecords,
  emptyDisk,
  expectRight,
  filesOf,
  fillDisk,
  offline,
  setStored,
  storedRecord,
  type TestHeader,
  tamper,
  visitOptions,
} from './visit.testing.ts';

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

  const id = () => `${server.url}#${file.length}#"v1"`;
  const open = (
    more: Partial<OpenWeightsOptions<TestHeader>> = {},
    on: Host = host,
    source: ModelSource = server.url,
  ) => openWeights(on, source, { ...visitOptions, ...more });

  describe('a damaged store', () => {
    const damages: Record<string, (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array<ArrayBuffer> | null>> = {
      'a flipped bit': async (bytes) => bytes.with(100, bytes[100]! ^ 1),
      'a short record': async (bytes) => bytes.slice(1),
      'an empty record': async () => new Uint8Array(0),
      'a lost record': async () => null,
      'a swapped record': () => storedRecord(host, id(), 'blk.0.expert.4'),
    };
    const damage = async (name: string) => {
      const bytes = await damages[name]!(await storedRecord(host, id(), 'blk.0.expert.3'));
      await setStored(host, id(), 'blk.0.expert.3', bytes);
    };

    it.each(Object.keys(damages))('%s is fetched again once, and never used', async (name) => {
      await (await open()).weights.close();
      await damage(name);
      server.clearLog();
      const opened = await open();
      await expectRight(opened);
      expect(opened.weights.notices.map(({ kind }) => kind)).toEqual(['refetched']);
      await opened.weights.close();
      const again = await open({}, offline(host));
      await expectRight(again);
      expect(again.weights.notices).toEqual([]);
    });

    it('is store/corrupt while the source is out of reach, and whole records are read all the same', async () => {
      await (await open()).weights.close();
      await damage('a flipped bit');
      const opened = await open({}, offline(host));
      const [bad, good] = [plans.find(({ key }) => key === 'blk.0.expert.3')!, plans[0]!];
      await expect(opened.weights.read(bad)).rejects.toMatchObject({
        code: 'store/corrupt',
        cause: { code: 'net/offline' },
      });
      expect((await opened.weights.read(good)).length).toBe(good.sizeBytes);
    });

    it.each([
      ['says nothing', 0],
      ['says nothing more after its first answer', 1],
    ])('is store/corrupt after half a minute where the server %s', async (_, nAnswers) => {
      await (await open()).weights.close();
      await damage('a flipped bit');
      let nAsked = 0;
      const fetch = (): Promise<Response> => {
        if (nAsked++ >= nAnswers) return new Promise(() => {});
        const headers = { 'Content-Range': `bytes 0-0/${file.length}`, ETag: '"v1"' };
        return Promise.resolve(new Response(file.slice(0, 1), { status: 206, headers }));
      };
      const clock = idleClock();
      const opened = await open({}, { ...host, fetch, clock });
      const bad = plans.find(({ key }) => key === 'blk.0.expert.3')!;
      await expect(opened.weights.read(bad)).rejects.toMatchObject({
        ...{ code: 'store/corrupt', retryable: true },
        cause: { code: 'net/timeout' },
      });
      // A request is given up after 20 s; the one that was sent within the half minute is waited for.
      expect(clock.now()).toBeGreaterThan(30_000);
      expect(clock.now()).toBeLessThan(45_000);
      await opened.weights.close();
    });

    it('heals while a hash that was not asked for before is checked over it', async () => {
      await (await open()).weights.close();
      await damage('a flipped bit');
      const sha256 = hex(new Uint8Array(await crypto.subtle.digest('SHA-256', file)));
      const opened = await open({ sha256 });
      expect(opened.weights.notices.map(({ kind }) => kind)).toEqual(['refetched']);
      await opened.weights.close();
      await expectRight(await open({ sha256 }, offline(host)));
    });

    it('heals after the signal of the load has fired', async () => {
      await (await open()).weights.close();
      await damage('a flipped bit');
      const load = new AbortController();
      const opened = await open({ signal: load.signal });
      load.abort();
      await expectRight(opened);
    });

    it('that lost a record and its mark fetches that one, and is store/evicted with no network', async () => {
      await (await open()).weights.close();
      await tamper(host, (records, marks) => {
        for (const store of [records, marks]) store.delete([id(), 'blk.0.expert.3']);
      });
      await expect(open({}, offline(host))).rejects.toMatchObject({ code: 'store/evicted' });
      server.clearLog();
      const opened = await open();
      await expectRight(opened);
      expect(opened.weights.notices.map(({ kind }) => kind)).toEqual(['resumed']);
      // The first request, and the expert's three ranges.
      expect(server.requests).toHaveLength(4);
    });

    it('is swept of records that no manifest stands for, when a model is downloaded', async () => {
      await (await open()).weights.close();
      await deleteModel(host, server.url);
      await tamper(host, (records) => records.put(new Uint8Array(9), ['https://gone.example/x', 'a']));
      filesOf(host)?.contents.set('floe/gone/a', { bytes: new Uint8Array(9), nOpen: 0 });
      await (await open()).weights.close();
      expect(await countRecords(host)).toBe(plans.length);
    });

    it('is not repaired from another file', async () => {
      await (await open()).weights.close();
      await damage('a flipped bit');
      server.replace(testModel(2).file, '"v2"');
      const opened = await open();
      const bad = plans.find(({ key }) => key === 'blk.0.expert.3')!;
      await expect(opened.weights.read(bad)).rejects.toMatchObject({ cause: { code: 'net/source-changed' } });
    });
  });

  describe('a full disk', () => {
    // The first record, one in the middle of a transaction, the last (but one, where the vector is no file).
    it.each([1, 3, plans.length - 1])(
      'at put %i is store/quota, and no manifest says that the model is whole',
      async (nth) => {
        fillDisk(host, nth, 1);
        const storage = { estimate: async () => ({ usageBytes: 10, quotaBytes: 110 }), persist: async () => true };
        const on = { ...host, storage };
        const error = await open({}, on).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: 'store/quota', details: { availableBytes: 100 } });
        expect((error as { details: { neededBytes: number } }).details.neededBytes).toBeGreaterThan(0);
        emptyDisk(host);
        const [left] = await listModels(on);
        expect(left).toMatchObject({ complete: false });
        await expect(open({}, offline(host))).rejects.toMatchObject({ code: 'net/offline' });
        // Room was made: it goes on.
        await expectRight(await open());
      },
    );
  });
});
