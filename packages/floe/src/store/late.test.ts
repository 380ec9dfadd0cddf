/** A model answers before its download is done: what comes later is fetched when it is read, or in the background. */
import { type FaultServer, startFaultServer } from '@floe/testkit/faultServer';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { abortedError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { Database } from './database.ts';
import { fileBytes, sourcesOf } from './fetchPlan.ts';
import { backends, testHost, testModel } from './host.testing.ts';
import { listModels } from './models.ts';
import type { BackgroundProgress, StoreProgress } from './notices.ts';
import { type OpenedWeights, type OpenWeightsOptions, openWeights } from './openWeights.ts';
import type { RecordPlan } from './record.ts';
import {
  countRecords,
  expectRecord,
  expectRight,
  fillDisk,
  offline,
  setStored,
  type TestHeader,
  visitOptions,
} from './visit.testing.ts';

const { file, headerBytes, plans } = testModel();
const later = ({ key }: RecordPlan) => key.includes('expert');
const dense = plans.filter((plan) => !later(plan));
const experts = plans.filter(later);
const [first, second, third] = experts as [RecordPlan, RecordPlan, RecordPlan];
const denseBytes = sum(dense, ({ sizeBytes }) => sizeBytes);
const totalBytes = sum(plans, ({ sizeBytes }) => sizeBytes);
/** The first request of a visit, by `visitOptions`. */
const PROBE_BYTES = 4_096;

function sum<T>(all: readonly T[], of: (each: T) => number): number {
  return all.reduce((total, each) => total + of(each), 0);
}

describe.each(backends)('records in $backend', ({ makeFiles }) => {
  let server: FaultServer;
  let host: Host;
  let open: OpenedWeights<TestHeader>[];
  beforeEach(async () => {
    server = await startFaultServer(file);
    host = testHost({ files: makeFiles() });
    open = [];
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await Promise.all(open.map(({ weights }) => weights.close()));
    await server[Symbol.asyncDispose]();
  });

  async function visit(more: Partial<OpenWeightsOptions<TestHeader>> = {}, on: Host = host) {
    const opened = await openWeights(on, server.url, { ...visitOptions, later, background: 'off', ...more });
    open.push(opened);
    return opened;
  }

  async function end(opened: OpenedWeights<TestHeader>): Promise<void> {
    open = open.filter((other) => other !== opened);
    await opened.weights.close();
  }

  /** Opens with the background on, and waits until it has stored `nBytes`. */
  async function backgroundVisit(nBytes = totalBytes, more: Partial<OpenWeightsOptions<TestHeader>> = {}, on = host) {
    const steps: BackgroundProgress[] = [];
    let opened: OpenedWeights<TestHeader> | undefined;
    await new Promise<void>((resolve, reject) => {
      const onBackground = (step: BackgroundProgress) => {
        steps.push(step);
        if (step.storedBytes >= nBytes) resolve();
      };
      visit({ background: 'on', onBackground, ...more }, on).then((done) => {
        opened = done;
        if (done.weights.storedBytes >= nBytes) resolve();
      }, reject);
    });
    await vi.waitUntil(() => opened);
    return { opened: opened!, steps };
  }

  /** The host, and each range that is asked for through it, as it is asked for. */
  function asking() {
    const asked: (readonly [number, number])[] = [];
    const fetch: Host['fetch'] = (url, init) => {
      asked.push(rangeOf(init));
      return host.fetch(url, init);
    };
    return { asked, on: { ...host, fetch } };
  }

  const askedRanges = () => server.requests.map(({ range }) => range as [number, number]);
  const touches = (plan: RecordPlan) => (range: readonly [number, number]) =>
    sourcesOf(plan).some(({ offset, sizeBytes }) => range[0] < offset + sizeBytes && offset <= range[1]);

  describe('opening', () => {
    it('asks for the header and the records that do not come later, and for no byte of the others', async () => {
      const opened = await visit();
      expect(askedRanges().filter((range) => experts.some((plan) => touches(plan)(range)))).toEqual([]);
      expect(server.requestedBytes()).toBeLessThanOrEqual(PROBE_BYTES + sum(dense, fileBytes));
      expect(opened.weights).toMatchObject({ storedBytes: denseBytes, fetchedBytes: server.requestedBytes() });
      expect(plans.filter(opened.weights.isNear)).toEqual(dense);
    });

    it.each(['a published hash', 'a server without ranges'])('with %s brings all of it first', async (kind) => {
      if (kind === 'a server without ranges') server.fail({ kind: 'noRanges' });
      const sha256 = Buffer.from(await crypto.subtle.digest('SHA-256', file)).toString('hex');
      const opened = await visit(kind === 'a published hash' ? { sha256 } : {});
      expect(opened.weights.storedBytes).toBe(totalBytes);
      expect(plans.every(opened.weights.isNear)).toBe(true);
      expect((await listModels(host))[0]).toMatchObject({ complete: true });
    });

    it('goes on where an earlier one was cut', async () => {
      server.fail({ kind: 'slow', pauseMs: 5 });
      const abort = new AbortController();
      const stopped = visit({ signal: abort.signal, onProgress: ({ loaded }) => loaded > 9_000 && abort.abort() });
      await expect(stopped).rejects.toMatchObject({ code: 'request/aborted' });
      server.fail();
      await expectRight(await visit());
    });
  });

  describe('a read of what comes later', () => {
    it('fetches that record by its three ranges, stores it, and does so once', async () => {
      const { weights } = await visit();
      server.clearLog();
      const before = weights.fetchedBytes;
      await expectRecord(weights, third);
      const expected = sourcesOf(third).map(({ offset, sizeBytes }) => [offset, offset + sizeBytes - 1]);
      expect(askedRanges().sort()).toEqual(expected.sort());
      expect(weights.fetchedBytes - before).toBe(fileBytes(third));
      expect(weights.isNear(third)).toBe(true);
      await expectRecord(weights, third);
      await vi.waitUntil(() => weights.storedBytes === denseBytes + third.sizeBytes);
      await expectRecord(weights, third);
      expect(server.requests).toHaveLength(3);
    });

    it('by two at once is one fetch', async () => {
      const { weights } = await visit();
      server.clearLog();
      await Promise.all([expectRecord(weights, first), expectRecord(weights, first)]);
      await expectRecord(weights, first);
      expect(server.requests).toHaveLength(3);
    });

    it('that is aborted in the middle leaves a source that works', async () => {
      const { weights } = await visit();
      server.fail({ kind: 'stall', times: 1 });
      const abort = new AbortController();
      const read = weights.read(first, abort.signal);
      await vi.waitUntil(() => askedRanges().some(touches(first)));
      abort.abort();
      await expect(read).rejects.toMatchObject({ code: 'request/aborted' });
      await expectRecord(weights, first);
      await expectRecord(weights, second);
    });

    it('with no network is experts/absent, which can be tried again; what is stored is read all the same', async () => {
      let online = true;
      const { weights } = await visit(
        {},
        hasty({ ...host, fetch: (...call) => (online ? host.fetch(...call) : gone()) }),
      );
      online = false;
      await expect(weights.read(first)).rejects.toMatchObject({
        code: 'experts/absent',
        retryable: true,
        details: { key: first.key },
        cause: { code: 'net/offline' },
      });
      for (const plan of dense) await expectRecord(weights, plan);
      online = true;
      await expectRecord(weights, first);
    });

    it('of a file that changed since is experts/absent, and nothing is mixed', async () => {
      const { weights } = await visit();
      server.replace(testModel(2).file, '"v2"');
      const changed = { code: 'experts/absent', cause: { code: 'net/source-changed' } };
      await expect(weights.read(first)).rejects.toMatchObject(changed);
      expect(await countRecords(host)).toBe(dense.length);
    });

    it('that was stored and is damaged fetches it again', async () => {
      const opened = await visit();
      await expectRecord(opened.weights, first);
      await end(opened);
      const id = `${server.url}#${file.length}#"v1"`;
      await setStored(host, id, first.key, new Uint8Array(first.sizeBytes).fill(7));
      const { weights } = await visit();
      await expectRecord(weights, first);
      expect(weights.notices.map(({ kind }) => kind)).toEqual(['refetched']);
    });
  });

  describe('the second visit', () => {
    it('opens at once with no network, with what was stored; what was not is experts/absent until it is back', async () => {
      const opened = await visit();
      await expectRecord(opened.weights, second);
      await end(opened);
      server.clearLog();
      let online = false;
      const { from, weights } = await visit(
        {},
        { ...host, fetch: (...call) => (online ? host.fetch(...call) : gone()) },
      );
      expect(from).toBe('store');
      for (const plan of [...dense, second]) await expectRecord(weights, plan);
      await expect(weights.read(first)).rejects.toMatchObject({ code: 'experts/absent', retryable: true });
      expect(weights.fetchedBytes).toBe(0);
      online = true;
      await expectRecord(weights, first);
      // One byte learns that it is the same file still.
      expect(server.requestedBytes()).toBe(1 + fileBytes(first));
      expect(weights.fetchedBytes).toBe(server.requestedBytes());
    });

    it('is given what the first one left, and one that left nothing leaves nothing', async () => {
      const opened = await visit();
      expect(opened.weights.lastVisit).toBeUndefined();
      await opened.weights.remember!(Float32Array.of(1, 2.5, 0));
      await end(opened);
      const again = await visit();
      expect([...again.weights.lastVisit!]).toEqual([1, 2.5, 0]);
      await expectRecord(again.weights, second);
      await end(again);
      expect([...(await visit()).weights.lastVisit!]).toEqual([1, 2.5, 0]);
    });

    it('of who wants all of it at first brings the rest, and no more', async () => {
      const opened = await visit();
      await expectRecord(opened.weights, second);
      await end(opened);
      server.clearLog();
      const { background: _, later: __, ...plain } = { ...visitOptions, later, background: 'off' };
      const whole = await openWeights(host, server.url, plain);
      open.push(whole);
      const missing = sum(
        experts.filter((plan) => plan !== second),
        fileBytes,
      );
      expect(server.requestedBytes()).toBeLessThanOrEqual(PROBE_BYTES + missing);
      await expectRight(whole);
    });

    it('reads what the first would not keep, and control: one that kept all needs no network', async () => {
      const { opened } = await backgroundVisit();
      await end(opened);
      const again = await visit({ background: 'on' }, offline(host));
      expect(again.from).toBe('store');
      await expectRight(again);
      expect(again.weights.notices).toEqual([]);
    });
  });

  describe('the background', () => {
    it('brings all the rest by itself, tells how far it is, and completes the model', async () => {
      const { opened, steps } = await backgroundVisit();
      expect(steps.at(-1)).toEqual({ storedBytes: totalBytes, totalBytes });
      expect(server.requestedBytes()).toBeLessThanOrEqual(PROBE_BYTES + sum(plans, fileBytes));
      await expectRight(opened);
      await end(opened);
      expect((await listModels(host))[0]).toMatchObject({ complete: true, storedBytes: totalBytes });
    });

    it('brings first what is said to be wanted most', async () => {
      const order = (missing: readonly RecordPlan[]) => missing.at(-1);
      await backgroundVisit(denseBytes + 1, { order });
      const asked = askedRanges().filter((range) => experts.some((plan) => touches(plan)(range)));
      expect(touches(experts.at(-1)!)(asked[0]!)).toBe(true);
      expect(touches(first)(asked[0]!)).toBe(false);
    });

    it('pauses for a demand: until that is answered nothing else is asked for', async () => {
      server.fail({ kind: 'slow', pauseMs: 5, pieceBytes: 1_024 });
      const { asked, on } = asking();
      const { weights } = await visit({ background: 'on', rangeBytes: 2_048 }, on);
      await vi.waitUntil(() => asked.some(touches(first)));
      const nBefore = asked.length;
      await expectRecord(weights, experts.at(-1)!);
      const during = asked.slice(nBefore);
      expect(during.length).toBeGreaterThanOrEqual(3);
      expect(during.filter((range) => !touches(experts.at(-1)!)(range))).toEqual([]);
    });

    it('stops when the source is closed', async () => {
      server.fail({ kind: 'slow', pauseMs: 5, pieceBytes: 1_024 });
      // Counted where they are made: one that is given up may reach the server after all.
      const { asked, on } = asking();
      const opened = await visit({ background: 'on', rangeBytes: 2_048 }, on);
      await vi.waitUntil(() => asked.some(touches(first)));
      await end(opened);
      const nAsked = asked.length;
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(asked.length).toBe(nAsked);
    });

    it('goes on by itself after the network was gone', async () => {
      let online = true;
      const on = hasty({ ...host, fetch: (...call) => (online ? host.fetch(...call) : gone()) });
      const onProgress = ({ loaded, total }: StoreProgress) => {
        online = loaded < total;
      };
      const going = backgroundVisit(totalBytes, { onProgress }, on);
      await vi.waitUntil(() => !online);
      await new Promise((resolve) => setTimeout(resolve, 20));
      online = true;
      await expectRight((await going).opened);
    });

    it('that was ended with the last record stored, but before it said so, is complete at the next visit', async () => {
      await end((await backgroundVisit()).opened);
      const db = new Database(host, host.indexedDB!);
      const [manifest] = await db.manifestsOf(server.url);
      await db.putManifest({ ...manifest!, state: 'downloading', recordSha256s: new Uint8Array(0), rootSha256: '' });
      await end(await visit({}, offline(host)));
      expect((await db.manifestsOf(server.url))[0]).toEqual(manifest);
      db.close();
    });

    it('of a second tab takes over when the first is closed', async () => {
      server.fail({ kind: 'slow', pauseMs: 5, pieceBytes: 1_024 });
      const one = await visit({ background: 'on', rangeBytes: 2_048 });
      const other = backgroundVisit(totalBytes, { rangeBytes: 2_048 });
      await vi.waitUntil(() => one.weights.storedBytes > denseBytes);
      await end(one);
      server.fail();
      await expectRight((await other).opened);
    });

    it('of two tabs fetches nothing twice, and both read all of it', async () => {
      const both = await Promise.all([backgroundVisit(), backgroundVisit()]);
      // Each asked for the beginning.
      expect(server.requestedBytes()).toBeLessThanOrEqual(2 * PROBE_BYTES + sum(plans, fileBytes));
      await end(both[0].opened);
      await expectRight(both[1].opened);
      await end(both[1].opened);
      expect((await listModels(host))[0]).toMatchObject({ complete: true, storedBytes: totalBytes });
      expect(server.requestedBytes()).toBeLessThanOrEqual(2 * PROBE_BYTES + sum(plans, fileBytes));
    });
  });

  describe('two sources on one database', () => {
    it('read what the other has stored, without a request', async () => {
      const [one, other] = [await visit(), await visit()];
      await expectRecord(one.weights, first);
      await vi.waitUntil(() => one.weights.storedBytes > denseBytes);
      server.clearLog();
      await expectRecord(other.weights, first);
      expect(server.requests).toEqual([]);
      expect(other.weights.storedBytes).toBe(denseBytes + first.sizeBytes);
    });

    it('go on when the model was made anew under one of them, which keeps nothing more', async () => {
      const { weights } = await visit();
      const db = new Database(host, host.indexedDB!);
      const [manifest] = await db.manifestsOf(server.url);
      await db.putManifest({ ...manifest!, generation: 'another' });
      db.close();
      await expectRecord(weights, first);
      await vi.waitUntil(() => weights.notices.length > 0);
      expect(weights.notices.map(({ kind }) => kind)).toEqual(['not-stored']);
      await expectRecord(weights, first);
      expect(await countRecords(host)).toBe(dense.length);
    });
  });

  describe('storageBytes', () => {
    // Room for all that is dense and for two and a half experts.
    const storageBytes = denseBytes + 2.5 * first.sizeBytes;

    it('is never passed; what is beyond is fetched at each read, and noticed once', async () => {
      const { weights } = await visit({ storageBytes });
      for (const plan of experts) await expectRecord(weights, plan);
      await vi.waitUntil(() => weights.storedBytes === denseBytes + 2 * first.sizeBytes);
      expect(weights.notices.map(({ kind }) => kind)).toEqual(['not-stored']);
      server.clearLog();
      for (const plan of experts) await expectRecord(weights, plan);
      expect(server.requestedBytes()).toBe(sum(experts.slice(2), fileBytes));
      expect(await countRecords(host)).toBe(dense.length + 2);
    });

    it('ends the background, and the next visit needs no network for what is stored', async () => {
      const { opened } = await backgroundVisit(denseBytes + 2 * first.sizeBytes, { storageBytes });
      await end(opened);
      const again = await visit({ storageBytes }, offline(host));
      for (const plan of [...dense, first, second]) await expectRecord(again.weights, plan);
      expect(experts.filter(again.weights.isNear)).toEqual([first, second]);
    });

    it('below what is dense stores what fits, and the model works', async () => {
      const opened = await visit({ storageBytes: 1_000 });
      await expectRight(opened);
      expect(opened.weights.storedBytes).toBeLessThanOrEqual(1_000);
      expect(opened.weights.storedBytes).toBeGreaterThan(0);
    });

    it('is store/quota where all of the file has to be stored', async () => {
      server.fail({ kind: 'noRanges' });
      await expect(visit({ storageBytes })).rejects.toMatchObject({
        code: 'store/quota',
        details: { neededBytes: totalBytes, availableBytes: storageBytes },
      });
      expect(await listModels(host)).toEqual([]);
    });
  });

  it('a disk that is full keeps nothing more: records are fetched at each read, and that is noticed once', async () => {
    const { weights } = await visit();
    fillDisk(host, 1, Number.POSITIVE_INFINITY);
    for (const _ of [1, 2]) for (const plan of [first, second]) await expectRecord(weights, plan);
    await vi.waitUntil(() => weights.notices.length > 0);
    expect(weights.notices.map(({ kind }) => kind)).toEqual(['not-stored']);
    expect(weights).toMatchObject({ storedBytes: denseBytes });
  });

  describe('where there is no storage', () => {
    it('records are fetched when they are read, and are never near', async () => {
      const { weights } = await visit({}, { ...host, indexedDB: null });
      server.clearLog();
      for (const _ of [1, 2]) await expectRecord(weights, first);
      expect(server.requestedBytes()).toBe(2 * fileBytes(first));
      expect(weights.fetchedBytes).toBe(Math.max(PROBE_BYTES, headerBytes) + 2 * fileBytes(first));
      expect(weights.isNear(first)).toBe(false);
    });

    it('with no network either, a read of what comes later is experts/absent', async () => {
      let online = true;
      const on = hasty({ ...host, indexedDB: null, fetch: (...call) => (online ? host.fetch(...call) : gone()) });
      const { weights } = await visit({}, on);
      online = false;
      await expect(weights.read(first)).rejects.toMatchObject({
        code: 'experts/absent',
        cause: { code: 'net/offline' },
      });
      online = true;
      await expectRecord(weights, first);
    });
  });

  /** What a request asks for. */
  function rangeOf(init: RequestInit | undefined): readonly [number, number] {
    const [begin, last] = new Headers(init?.headers).get('Range')!.slice('bytes='.length).split('-').map(Number);
    return [begin!, last!];
  }

  function gone(): Promise<Response> {
    return Promise.reject(new TypeError('fetch failed'));
  }

  /** Pauses before another try pass in a moment; deadlines do not. */
  function hasty(slow: Host): Host {
    let skippedMs = 0;
    const sleep = async (ms: number, signal?: AbortSignal) => {
      if (ms === 20_000 || ms === 5_000) return slow.clock.sleep(ms, signal);
      if (signal?.aborted) throw abortedError();
      skippedMs += ms;
      await new Promise((resolve) => setTimeout(resolve));
    };
    return { ...slow, clock: { ...slow.clock, now: () => slow.clock.now() + skippedMs, sleep } };
  }
});
