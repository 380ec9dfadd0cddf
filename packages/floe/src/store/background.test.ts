/** What of a model comes later is brought in the background, kept within bounds, and shared by who has it open. */
import { describe, expect, it, vi } from 'vitest';
import { Database } from './database.ts';
import { fileBytes } from './fetchPlan.ts';
import { backends } from './host.testing.ts';
import {
  dense,
  denseBytes,
  experts,
  first,
  gone,
  hasty,
  LateVisits,
  PROBE_BYTES,
  plans,
  second,
  sum,
  totalBytes,
  touches,
} from './lateVisits.testing.ts';
import { listModels } from './models.ts';
import type { StoreProgress } from './notices.ts';
import type { RecordPlan } from './record.ts';
import { countRecords, expectRecord, expectRight, fillDisk, offline } from './visit.testing.ts';

describe.each(backends)('records in $backend', ({ makeFiles }) => {
  const late = new LateVisits(makeFiles);

  describe('the background', () => {
    it('brings all the rest by itself, tells how far it is, and completes the model', async () => {
      const { opened, steps } = await late.backgroundVisit();
      expect(steps.at(-1)).toEqual({ storedBytes: totalBytes, totalBytes });
      expect(late.server.requestedBytes()).toBeLessThanOrEqual(PROBE_BYTES + sum(plans, fileBytes));
      await expectRight(opened);
      await late.end(opened);
      expect((await listModels(late.host))[0]).toMatchObject({ complete: true, storedBytes: totalBytes });
    });

    it('brings first what is said to be wanted most', async () => {
      const order = (missing: readonly RecordPlan[]) => missing.at(-1);
      await late.backgroundVisit(denseBytes + 1, { order });
      const asked = late.askedRanges().filter((range) => experts.some((plan) => touches(plan)(range)));
      expect(touches(experts.at(-1)!)(asked[0]!)).toBe(true);
      expect(touches(first)(asked[0]!)).toBe(false);
    });

    it('pauses for a demand: until that is answered nothing else is asked for', async () => {
      late.server.fail({ kind: 'slow', pauseMs: 5, pieceBytes: 1_024 });
      const { asked, on } = late.asking();
      const { weights } = await late.visit({ background: 'on', rangeBytes: 2_048 }, on);
      await vi.waitUntil(() => asked.some(touches(first)));
      const nBefore = asked.length;
      await expectRecord(weights, experts.at(-1)!);
      const during = asked.slice(nBefore);
      expect(during.length).toBeGreaterThanOrEqual(3);
      expect(during.filter((range) => !touches(experts.at(-1)!)(range))).toEqual([]);
    });

    it('stops when the source is closed', async () => {
      late.server.fail({ kind: 'slow', pauseMs: 5, pieceBytes: 1_024 });
      // Counted where they are made: one that is given up may reach the late.server after all.
      const { asked, on } = late.asking();
      const opened = await late.visit({ background: 'on', rangeBytes: 2_048 }, on);
      await vi.waitUntil(() => asked.some(touches(first)));
      await late.end(opened);
      const nAsked = asked.length;
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(asked.length).toBe(nAsked);
    });

    it('goes on by itself after the network was gone', async () => {
      let online = true;
      const on = hasty({ ...late.host, fetch: (...call) => (online ? late.host.fetch(...call) : gone()) });
      const onProgress = ({ loaded, total }: StoreProgress) => {
        online = loaded < total;
      };
      const going = late.backgroundVisit(totalBytes, { onProgress }, on);
      await vi.waitUntil(() => !online);
      await new Promise((resolve) => setTimeout(resolve, 20));
      online = true;
      await expectRight((await going).opened);
    });

    it('that was ended with the last record stored, but before it said so, is complete at the next visit', async () => {
      await late.end((await late.backgroundVisit()).opened);
      const db = new Database(late.host, late.host.indexedDB!);
      const [manifest] = await db.manifestsOf(late.server.url);
      await db.putManifest({ ...manifest!, state: 'downloading', recordSha256s: new Uint8Array(0), rootSha256: '' });
      await late.end(await late.visit({}, offline(late.host)));
      expect((await db.manifestsOf(late.server.url))[0]).toEqual(manifest);
      db.close();
    });

    it('of a second tab takes over when the first is closed', async () => {
      late.server.fail({ kind: 'slow', pauseMs: 5, pieceBytes: 1_024 });
      const one = await late.visit({ background: 'on', rangeBytes: 2_048 });
      const other = late.backgroundVisit(totalBytes, { rangeBytes: 2_048 });
      await vi.waitUntil(() => one.weights.storedBytes > denseBytes);
      await late.end(one);
      late.server.fail();
      await expectRight((await other).opened);
    });

    it('of two tabs fetches nothing twice, and both read all of it', async () => {
      const both = await Promise.all([late.backgroundVisit(), late.backgroundVisit()]);
      // Each asked for the beginning.
      expect(late.server.requestedBytes()).toBeLessThanOrEqual(2 * PROBE_BYTES + sum(plans, fileBytes));
      await late.end(both[0].opened);
      await expectRight(both[1].opened);
      await late.end(both[1].opened);
      expect((await listModels(late.host))[0]).toMatchObject({ complete: true, storedBytes: totalBytes });
      expect(late.server.requestedBytes()).toBeLessThanOrEqual(2 * PROBE_BYTES + sum(plans, fileBytes));
    });
  });

  describe('two sources on one database', () => {
    it('read what the other has stored, without a request', async () => {
      const [one, other] = [await late.visit(), await late.visit()];
      await expectRecord(one.weights, first);
      await vi.waitUntil(() => one.weights.storedBytes > denseBytes);
      late.server.clearLog();
      await expectRecord(other.weights, first);
      expect(late.server.requests).toEqual([]);
      expect(other.weights.storedBytes).toBe(denseBytes + first.sizeBytes);
    });

    it('go on when the model was made anew under one of them, which keeps nothing more', async () => {
      const { weights } = await late.visit();
      const db = new Database(late.host, late.host.indexedDB!);
      const [manifest] = await db.manifestsOf(late.server.url);
      await db.putManifest({ ...manifest!, generation: 'another' });
      db.close();
      await expectRecord(weights, first);
      await vi.waitUntil(() => weights.notices.length > 0);
      expect(weights.notices.map(({ kind }) => kind)).toEqual(['not-stored']);
      await expectRecord(weights, first);
      expect(await countRecords(late.host)).toBe(dense.length);
    });
  });

  describe('storageBytes', () => {
    // Room for all that is dense and for two and a half experts.
    const storageBytes = denseBytes + 2.5 * first.sizeBytes;

    it('is never passed; what is beyond is fetched at each read, and noticed once', async () => {
      const { weights } = await late.visit({ storageBytes });
      for (const plan of experts) await expectRecord(weights, plan);
      await vi.waitUntil(() => weights.storedBytes === denseBytes + 2 * first.sizeBytes);
      expect(weights.notices.map(({ kind }) => kind)).toEqual(['not-stored']);
      late.server.clearLog();
      for (const plan of experts) await expectRecord(weights, plan);
      expect(late.server.requestedBytes()).toBe(sum(experts.slice(2), fileBytes));
      expect(await countRecords(late.host)).toBe(dense.length + 2);
    });

    it('ends the background, and the next visit needs no network for what is stored', async () => {
      const { opened } = await late.backgroundVisit(denseBytes + 2 * first.sizeBytes, { storageBytes });
      await late.end(opened);
      const again = await late.visit({ storageBytes }, offline(late.host));
      for (const plan of [...dense, first, second]) await expectRecord(again.weights, plan);
      expect(experts.filter(again.weights.isNear)).toEqual([first, second]);
    });

    it('below what is dense stores what fits, and the model works', async () => {
      const opened = await late.visit({ storageBytes: 1_000 });
      await expectRight(opened);
      expect(opened.weights.storedBytes).toBeLessThanOrEqual(1_000);
      expect(opened.weights.storedBytes).toBeGreaterThan(0);
    });

    it('is store/quota where all of the file has to be stored', async () => {
      late.server.fail({ kind: 'noRanges' });
      await expect(late.visit({ storageBytes })).rejects.toMatchObject({
        code: 'store/quota',
        details: { neededBytes: totalBytes, availableBytes: storageBytes },
      });
      expect(await listModels(late.host)).toEqual([]);
    });
  });

  it('a disk that is full keeps nothing more: records are fetched at each read, and that is noticed once', async () => {
    const { weights } = await late.visit();
    fillDisk(late.host, 1, Number.POSITIVE_INFINITY);
    for (const _ of [1, 2]) for (const plan of [first, second]) await expectRecord(weights, plan);
    await vi.waitUntil(() => weights.notices.length > 0);
    expect(weights.notices.map(({ kind }) => kind)).toEqual(['not-stored']);
    expect(weights).toMatchObject({ storedBytes: denseBytes });
  });
});
