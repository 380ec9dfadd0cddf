/** Loads over the network: what is refused is refused before the weights come, and what comes late changes no bit. */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type FaultServer, startFaultServer } from '@floe/testkit/faultServer';
import { testGpu } from '@floe/testkit/nodeGpu';
import { IDBFactory } from 'fake-indexeddb';
import 'fake-indexeddb/auto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Host } from '../host/index.ts';
import { nodeHost } from '../host/node.ts';
import { loadInThread, type ThreadOptions } from './load.ts';
import type { StoredProgress } from './types.ts';

const file = readFileSync(resolve(import.meta.dirname, '../../../../demo/public/models/arctic-mini-sql-q4_0.gguf'));
const question = {
  messages: [{ role: 'user', content: 'CREATE TABLE t (a INT);\nHow many rows are there?' }],
  max_tokens: 8,
  temperature: 0,
};
const IDS = [1, 5, 80, 300, 7, 22, 41];

let server: FaultServer;
beforeAll(async () => {
  server = await startFaultServer(file);
});
afterAll(() => server[Symbol.asyncDispose]());

const freshHost = (): Host => ({ ...nodeHost(testGpu()), indexedDB: new IDBFactory() });

describe('is refused once the header is there', () => {
  it.each<[string, ThreadOptions, string]>([
    ['a GPU budget that means nothing', { budget: { gpuBytes: 'lots' as never } }, 'request/invalid'],
    ['a budget that is too small', { budget: { gpuBytes: 1e6 } }, 'experts/budget-too-small'],
    ['a context beyond the model', { contextLength: 1 << 22 }, 'request/invalid'],
    ['an expert larger than a binding', { placing: { poolBytes: 1000 } }, 'gpu/limits'],
  ])('%s', async (_, options, code) => {
    server.clearLog();
    const refused = loadInThread(freshHost(), server.url, options);
    await expect(refused).rejects.toMatchObject({ code });
    expect(server.requestedBytes()).toBeLessThan(file.length / 4);
  });
});

describe('is refused before anything is asked for', () => {
  it.each<[string, object]>([
    ['budget.memoryBytes', { budget: { memoryBytes: '4GB' } }],
    ['budget.memoryBytes', { budget: { memoryBytes: Number.NaN } }],
    ['budget.storageBytes', { budget: { storageBytes: -1 } }],
    ['paging.runAhead', { paging: { runAhead: -1 } }],
    ['paging.runAhead', { paging: { runAhead: Number.NaN } }],
    ['paging.group', { paging: { group: 0 } }],
    ['paging.dropBelow', { paging: { dropBelow: 2 } }],
    ['download', { download: 'later' }],
  ])('%s in %o', async (argument, options) => {
    server.clearLog();
    const refused = loadInThread(freshHost(), server.url, options as ThreadOptions);
    await expect(refused).rejects.toMatchObject({ code: 'request/invalid', details: { argument } });
    expect(server.requests).toHaveLength(0);
  });
});

/** A greedy answer's ids, the likeliest ids after some others with their log-probabilities, and what paging did. */
async function answers(host: Host, options: ThreadOptions) {
  await using model = await loadInThread(host, server.url, { contextLength: 128, ...options });
  const { ids } = (await model.chat.completions.create(question)).choices[0];
  const logprobs = await model.logprobs(IDS, { top: 5 });
  const again = (await model.chat.completions.create(question)).choices[0].ids;
  return { ids, logprobs, again, counts: (await model.experts())!.counts };
}

describe('what comes late', () => {
  it.each<[string, ThreadOptions]>([
    ['on demand', { download: 'on-demand' }],
    [
      'on demand, with a quarter of the slots and none in memory',
      { download: 'on-demand', budget: { gpuBytes: '25%', memoryBytes: 0 } },
    ],
    ['in the background', {}],
    ['in the background, with a quarter of the slots', { download: 'background', budget: { gpuBytes: '25%' } }],
  ])('changes no bit: %s', async (_, options) => {
    const { ids, logprobs } = await answers(freshHost(), { download: 'first' });
    const late = await answers(freshHost(), options);
    expect(late.ids).toEqual(ids);
    expect(late.again).toEqual(ids);
    expect(late.logprobs).toEqual(logprobs);
    // The background may be done before the first answer: then nothing is missing.
    if (options.download === 'on-demand') expect(late.counts.misses).toBeGreaterThan(0);
  });

  it('on demand, fetches what was used and no more', async () => {
    server.clearLog();
    await answers(freshHost(), { download: 'on-demand' });
    expect(server.requestedBytes()).toBeLessThan(file.length);
  });

  it('in the background, is told of, and is all there in the end', async () => {
    const host = freshHost();
    const heard: StoredProgress[] = [];
    let done = () => {};
    const all = new Promise<void>((resolve) => {
      done = resolve;
    });
    const model = await loadInThread(host, server.url, {
      contextLength: 128,
      onStored: (progress) => {
        heard.push(progress);
        if (progress.storedBytes >= progress.totalBytes) done();
      },
    });
    await all;
    expect((await model.memory()).storedBytes).toBe(heard.at(-1)!.totalBytes);
    await model.unload();
    const offline = { ...host, fetch: () => Promise.reject(new TypeError('fetch failed')) };
    {
      await using again = await loadInThread(offline, server.url, { contextLength: 128 });
      expect(again.info.loadedFrom).toBe('store');
    }
    // From what is stored alone, with few slots, the bits of all resident.
    const { ids, logprobs } = await answers(freshHost(), { download: 'first' });
    const paged = await answers(offline, { budget: { gpuBytes: '25%', memoryBytes: 0 } });
    expect([paged.ids, paged.again]).toEqual([ids, ids]);
    expect(paged.logprobs).toEqual(logprobs);
    const { fromStorage, fromNetwork, evictions } = paged.counts;
    expect([fromStorage > 0, evictions > 0, fromNetwork]).toEqual([true, true, 0]);
  });
});
