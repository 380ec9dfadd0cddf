/** An answer long before the last byte: the experts a prompt is routed to are fetched, and no others. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomModel } from '../packages/testkit/src/randomModel.ts';
import { expect, test } from './fixtures.ts';
import { serveLibrary } from './librarySite.ts';
import { ModelServer } from './modelServer.ts';

/** 20 Mbit/s. */
const BYTES_PER_SECOND = 2_500_000;
/** 128 experts to a layer, which are nearly all of the file; routed to evenly, for the weights are random: the worst case. */
const shape = {
  nLayers: 3,
  modelDim: 64,
  nHeads: 4,
  nKvHeads: 2,
  nVocab: 320,
  expertDim: 512,
  nExperts: 128,
  nExpertsUsed: 2,
};

/** What the page tells of one load and one answer. */
interface Told {
  readonly text: string;
  readonly nPrompt: number;
}

declare global {
  interface Window {
    answered: (download: string, url: string) => Promise<Told>;
  }
}

const html = `<!doctype html><link rel="icon" href="data:,"><script type="module">
  import { loadModel } from '/floe/index.js';
  window.answered = async (download, url) => {
    const model = await loadModel(url, { download, contextLength: 64 });
    const options = { prompt: 'one two three', max_tokens: 4, temperature: 0 };
    const { text, usage } = await model.completions.create({ ...options, max_tokens: 1 });
    await fetch('/first');
    const more = await model.completions.create(options);
    window.model = model;
    return { text: text + more.text, nPrompt: usage.prompt_tokens };
  };
  document.title = 'ready';
</script>`;

test('the first token of a short prompt comes before a third of the file, at 20 Mbit/s', async ({ page }, info) => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-first-'));
  const file = join(folder, 'model.gguf');
  const bytes = randomModel({ ...shape, architecture: 'arctic', type: 'Q4_0', seed: 7, nCtxTrain: 64 });
  await writeFile(file, bytes);
  const server = await ModelServer.start(file);
  server.bytesPerSecond = BYTES_PER_SECOND;
  let atFirst = 0;
  const site = await serveLibrary((path) => {
    if (path === '/first') atFirst = server.sentBytes;
    return { '/': html, '/first': '' }[path];
  });
  try {
    await page.goto(site.url);
    await expect(page).toHaveTitle('ready');
    const told = await page.evaluate((url) => window.answered('on-demand', url), server.url);
    expect(told.nPrompt).toBeLessThanOrEqual(16);
    const share = atFirst / bytes.length;
    info.annotations.push({
      type: 'bytes before the first token',
      description: `${(100 * share).toFixed(1)}% of the file`,
    });
    expect(share).toBeGreaterThan(0.01);
    expect(share).toBeLessThan(0.3);
    // It was not all it needed: the tokens behind it were routed to others.
    expect(server.sentBytes).toBeGreaterThan(atFirst);
    expect(server.sentBytes).toBeLessThan(bytes.length);
    // The same answer as with everything here.
    server.bytesPerSecond = null;
    const whole = await page.evaluate((url) => window.answered('first', url), `${server.url}?all`);
    expect(whole.text).toBe(told.text);
  } finally {
    site.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
});
