/** A model answers before its download is done: what comes later is fetched when it is read. */
import { describe, expect, it, vi } from 'vitest';
import { fileBytes, sourcesOf } from './fetchPlan.ts';
import { backends, testModel } from './host.testing.ts';
import {
  dense,
  denseBytes,
  experts,
  file,
  first,
  gone,
  hasty,
  headerBytes,
  LateVisits,
  later,
  PROBE_BYTES,
  plans,
  second,
  sum,
  third,
  totalBytes,
  touches,
} from './lateVisits.testing.ts';
import { listModels } from './models.ts';
import { openWeights } from './openWeights.ts';
import { countRecords, expectRecord, expectRight, offline, setStored, visitOptions } from './visit.testing.ts';

describe.each(backends)('records in $backend', ({ makeFiles }) => {
  const late = new LateVisits(makeFiles);

  describe('opening', () => {
    it('asks for the header and the records that do not come later, and for no byte of the others', async () => {
      const opened = await late.visit();
      expect(late.askedRanges().filter((range) => experts.some((plan) => touches(plan)(range)))).toEqual([]);
      expect(late.server.requestedBytes()).toBeLessThanOrEqual(PROBE_BYTES + sum(dense, fileBytes));
      expect(opened.weights).toMatchObject({ storedBytes: denseBytes, fetchedBytes: late.server.requestedBytes() });
      expect(plans.filter(opened.weights.isNear)).toEqual(dense);
    });

    it.each(['a published hash', 'a server without ranges'])('with %s brings all of it first', async (kind) => {
      if (kind === 'a server without ranges') late.server.fail({ kind: 'noRanges' });
      const sha256 = Buffer.from(await crypto.subtle.digest('SHA-256', file)).toString('hex');
      const opened = await late.visit(kind === 'a published hash' ? { sha256 } : {});
      expect(opened.weights.storedBytes).toBe(totalBytes);
      expect(plans.every(opened.weights.isNear)).toBe(true);
      expect((await listModels(late.host))[0]).toMatchObject({ complete: true });
    });

    it('goes on where an earlier one was cut', async () => {
      late.server.fail({ kind: 'slow', pauseMs: 5 });
      const abort = new AbortController();
      const stopped = late.visit({ signal: abort.signal, onProgress: ({ loaded }) => loaded > 9_000 && abort.abort() });
      await expect(stopped).rejects.toMatchObject({ code: 'request/aborted' });
      late.server.fail();
      await expectRight(await late.visit());
    });
  });

  describe('a read of what comes later', () => {
    it('fetches that record by its three ranges, stores it, and does so once', async () => {
      const { weights } = await late.visit();
      late.server.clearLog();
      const before = weights.fetchedBytes;
      await expectRecord(weights, third);
      const expected = sourcesOf(third).map(({ offset, sizeBytes }) => [offset, offset + sizeBytes - 1]);
      expect(late.askedRanges().sort()).toEqual(expected.sort());
      expect(weights.fetchedBytes - before).toBe(fileBytes(third));
      expect(weights.isNear(third)).toBe(true);
      await expectRecord(weights, third);
      await vi.waitUntil(() => weights.storedBytes === denseBytes + third.sizeBytes);
      await expectRecord(weights, third);
      expect(late.server.requests).toHaveLength(3);
    });

    it('by two at once is one fetch', async () => {
      const { weights } = await late.visit();
      late.server.clearLog();
      await Promise.all([expectRecord(weights, first), expectRecord(weights, first)]);
      await expectRecord(weights, first);
      expect(late.server.requests).toHaveLength(3);
    });

    it('that is aborted in the middle leaves a source that works', async () => {
      const { weights } = await late.visit();
      late.server.fail({ kind: 'stall', times: 1 });
      const abort = new AbortController();
      const read = weights.read(first, abort.signal);
      await vi.waitUntil(() => late.askedRanges().some(touches(first)));
      abort.abort();
      await expect(read).rejects.toMatchObject({ code: 'request/aborted' });
      await expectRecord(weights, first);
      await expectRecord(weights, second);
    });

    it('with no network is experts/absent, which can be tried again; what is stored is read all the same', async () => {
      let online = true;
      const { weights } = await late.visit(
        {},
        hasty({ ...late.host, fetch: (...call) => (online ? late.host.fetch(...call) : gone()) }),
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
      const { weights } = await late.visit();
      late.server.replace(testModel(2).file, '"v2"');
      const changed = { code: 'experts/absent', cause: { code: 'net/source-changed' } };
      await expect(weights.read(first)).rejects.toMatchObject(changed);
      expect(await countRecords(late.host)).toBe(dense.length);
    });

    it('that was stored and is damaged fetches it again', async () => {
      const opened = await late.visit();
      await expectRecord(opened.weights, first);
      await late.end(opened);
      const id = `${late.server.url}#${file.length}#"v1"`;
      await setStored(late.host, id, first.key, new Uint8Array(first.sizeBytes).fill(7));
      const { weights } = await late.visit();
      await expectRecord(weights, first);
      expect(weights.notices.map(({ kind }) => kind)).toEqual(['refetched']);
    });
  });

  describe('the second visit', () => {
    it('opens at once with no network, with what was stored; what was not is experts/absent until it is back', async () => {
      const opened = await late.visit();
      await expectRecord(opened.weights, second);
      await late.end(opened);
      late.server.clearLog();
      let online = false;
      const { from, weights } = await late.visit(
        {},
        { ...late.host, fetch: (...call) => (online ? late.host.fetch(...call) : gone()) },
      );
      expect(from).toBe('store');
      for (const plan of [...dense, second]) await expectRecord(weights, plan);
      await expect(weights.read(first)).rejects.toMatchObject({ code: 'experts/absent', retryable: true });
      expect(weights.fetchedBytes).toBe(0);
      online = true;
      await expectRecord(weights, first);
      // One byte learns that it is the same file still.
      expect(late.server.requestedBytes()).toBe(1 + fileBytes(first));
      expect(weights.fetchedBytes).toBe(late.server.requestedBytes());
    });

    it('is given what the first one left, and one that left nothing leaves nothing', async () => {
      const opened = await late.visit();
      expect(opened.weights.lastVisit).toBeUndefined();
      await opened.weights.remember!(Float32Array.of(1, 2.5, 0));
      await late.end(opened);
      const again = await late.visit();
      expect([...again.weights.lastVisit!]).toEqual([1, 2.5, 0]);
      await expectRecord(again.weights, second);
      await late.end(again);
      expect([...(await late.visit()).weights.lastVisit!]).toEqual([1, 2.5, 0]);
    });

    it('of who wants all of it at first brings the rest, and no more', async () => {
      const opened = await late.visit();
      await expectRecord(opened.weights, second);
      await late.end(opened);
      late.server.clearLog();
      const { background: _, later: __, ...plain } = { ...visitOptions, later, background: 'off' };
      const whole = await openWeights(late.host, late.server.url, plain);
      late.keep(whole);
      const missing = sum(
        experts.filter((plan) => plan !== second),
        fileBytes,
      );
      expect(late.server.requestedBytes()).toBeLessThanOrEqual(PROBE_BYTES + missing);
      await expectRight(whole);
    });

    it('reads what the first would not keep, and control: one that kept all needs no network', async () => {
      const { opened } = await late.backgroundVisit();
      await late.end(opened);
      const again = await late.visit({ background: 'on' }, offline(late.host));
      expect(again.from).toBe('store');
      await expectRight(again);
      expect(again.weights.notices).toEqual([]);
    });
  });

  describe('where there is no storage', () => {
    it('records are fetched when they are read, and are never near', async () => {
      const { weights } = await late.visit({}, { ...late.host, indexedDB: null });
      late.server.clearLog();
      for (const _ of [1, 2]) await expectRecord(weights, first);
      expect(late.server.requestedBytes()).toBe(2 * fileBytes(first));
      expect(weights.fetchedBytes).toBe(Math.max(PROBE_BYTES, headerBytes) + 2 * fileBytes(first));
      expect(weights.isNear(first)).toBe(false);
    });

    it('with no network either, a read of what comes later is experts/absent', async () => {
      let online = true;
      const on = hasty({
        ...late.host,
        indexedDB: null,
        fetch: (...call) => (online ? late.host.fetch(...call) : gone()),
      });
      const { weights } = await late.visit({}, on);
      online = false;
      await expect(weights.read(first)).rejects.toMatchObject({
        code: 'experts/absent',
        cause: { code: 'net/offline' },
      });
      online = true;
      await expectRecord(weights, first);
    });
  });
});
