/** Large records lie in files of the origin: over visits, in two tabs, damaged, deleted, and for a model that is paged. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HeapWatch } from '../bench/realSizeHeap.ts';
import { randomModel } from '../packages/testkit/src/randomModel.ts';
import { tinyExamples } from './examples.ts';
import { expect, test } from './fixtures.ts';
import { FloePage } from './floePage.ts';
import { serveLibrary } from './librarySite.ts';
import { ModelServer } from './modelServer.ts';
import { flipBitInFiles, storedFiles } from './storage.ts';

const { question, tables, answer } = tinyExamples()[0]!;
const sum = (sizes: readonly number[]) => sizes.reduce((total, bytes) => total + bytes, 0);

test('the next browser session reads them with the network off, and answers the same', async ({ restart, server }) => {
  const before = await restart();
  await before.openWith(server.url);
  await before.isWhole();
  await expect(before.get('notice-slow-storage')).toHaveCount(0);
  const files = await storedFiles(before.page);
  expect(files.length, 'records of 512 KiB and more').toBeGreaterThan(1);
  expect(Math.min(...files)).toBeGreaterThanOrEqual(512 * 1024);

  const after = await restart();
  const { url } = server;
  await server.close();
  await after.openWith(url);
  await expect(after.get('loaded-from')).toContainText('storage');
  expect(await after.ask(question, tables)).toBe(answer);
  expect(await storedFiles(after.page)).toEqual(files);
});

test('two tabs load one model at once: it is stored once, and both answer', async ({ floe, server, context }) => {
  const other = new FloePage(await context.newPage());
  await Promise.all([floe.openWith(server.url), other.openWith(server.url)]);
  for (const tab of [floe, other]) await tab.isWhole();
  // Both ask for the beginning.
  expect(server.sentBytes).toBeLessThan(server.fileBytes * 1.3);
  expect(sum(await storedFiles(floe.page))).toBeLessThanOrEqual(server.fileBytes);
  for (const tab of [floe, other]) {
    await tab.page.bringToFront();
    expect(await tab.ask(question, tables)).toBe(answer);
  }
});

test('files that are damaged are fetched again, written anew, and sound at the next visit', async ({
  floe,
  server,
}) => {
  await floe.openWith(server.url);
  await floe.isWhole();
  const files = await storedFiles(floe.page);
  await floe.open();
  await flipBitInFiles(floe.page);
  await floe.openWith(server.url);
  await expect(floe.get('notices').getByTestId('notice-refetched').first()).toBeVisible();
  expect(await floe.ask(question, tables)).toBe(answer);
  expect((await storedFiles(floe.page)).sort(), 'the damaged ones are gone').toEqual(files.sort());

  const { url } = server;
  await server.close();
  await floe.openWith(url);
  await expect(floe.get('notice-refetched')).toHaveCount(0);
  expect(await floe.ask(question, tables)).toBe(answer);
});

/** Experts of 664 KB, each a file. */
const shape = {
  nLayers: 2,
  modelDim: 128,
  nHeads: 4,
  nKvHeads: 2,
  nVocab: 320,
  expertDim: 3072,
  nExperts: 16,
  nExpertsUsed: 2,
};

/** What the page tells of one load and one answer. */
interface Told {
  readonly ids: number[];
  readonly misses: number;
  readonly fromStorage: number;
  readonly memoryBytes: { readonly used: number; readonly budget: number };
}

/** Room for six of 32. */
const MEMORY_BYTES = 4e6;
/** Code, vocabulary and tables: 3.2 MB were seen. With all experts held it would be 21 MB and more. */
const HEAP_MARGIN_BYTES = 8e6;

declare global {
  interface Window {
    answeredWith: (url: string, budget: object) => Promise<Told>;
    unloaded: () => Promise<void>;
    deleted: (url: string) => Promise<number>;
  }
}

const html = `<!doctype html><link rel="icon" href="data:,"><script type="module">
  import { deleteModel, listModels, loadModel } from '/floe/index.js';
  window.answeredWith = async (url, budget) => {
    const model = await loadModel(url, { budget, contextLength: 64, download: 'first' });
    const { ids } = await model.completions.create({ prompt: 'one two three', max_tokens: 8, temperature: 0 });
    const { counts, memoryBytes } = await model.experts();
    window.unloaded = () => model.unload();
    return { ids, misses: counts.misses, fromStorage: counts.fromStorage, memoryBytes };
  };
  window.deleted = async (url) => {
    await deleteModel(url);
    return (await listModels()).length;
  };
  document.title = 'ready';
</script>`;

test('with its source closed, a model whose experts come from files gives the tokens it gave with all of them on the GPU, within its budget', async ({
  page,
}) => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-files-'));
  const file = join(folder, 'model.gguf');
  await writeFile(file, randomModel({ ...shape, architecture: 'arctic', type: 'Q4_0', seed: 11, nCtxTrain: 64 }));
  const server = await ModelServer.start(file);
  const site = await serveLibrary((path) => (path === '/' ? html : undefined));
  try {
    await page.goto(site.url);
    await expect(page).toHaveTitle('ready');
    const { url } = server;
    const resident = await page.evaluate((url) => window.answeredWith(url, { gpuBytes: '100%' }), url);
    expect(resident.misses).toBe(0);
    expect(new Set(resident.ids).size, 'tokens that differ').toBeGreaterThan(1);
    expect((await storedFiles(page)).length).toBe(shape.nLayers * shape.nExperts);

    await page.evaluate(() => window.unloaded());
    await server.close();
    const heap = await HeapWatch.on(page);
    const budget = { gpuBytes: 'min', memoryBytes: MEMORY_BYTES };
    const paged = await page.evaluate(([url, budget]) => window.answeredWith(url, budget), [url, budget] as const);
    const settled = await heap.settled();
    await heap.stop();
    expect(paged.memoryBytes.used).toBeLessThanOrEqual(MEMORY_BYTES);
    expect(settled!.usedBytes + settled!.backingBytes).toBeLessThan(MEMORY_BYTES + HEAP_MARGIN_BYTES);
    expect(paged.misses).toBeGreaterThan(0);
    expect(paged.fromStorage).toBeGreaterThan(0);
    expect(paged.ids).toEqual(resident.ids);

    await page.evaluate(() => window.unloaded());
    expect(await page.evaluate((url) => window.deleted(url), url)).toBe(0);
    expect(await storedFiles(page)).toEqual([]);
  } finally {
    site.close();
    await server.close().catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
});
