/** An answer long before the last byte: the experts a prompt is routed to are fetched, and no others. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { randomModel } from '../packages/testkit/src/randomModel.ts';
import { expect, test } from './fixtures.ts';
import { ModelServer } from './modelServer.ts';

const root = join(import.meta.dirname, '..');
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

const page = `<!doctype html><link rel="icon" href="data:,"><script type="module">
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

async function serve(onFirst: () => void): Promise<Server> {
  const server = createServer(async ({ url = '/' }, response) => {
    if (url === '/first') onFirst();
    const body =
      url === '/'
        ? page
        : url === '/first'
          ? ''
          : await readFile(join(root, 'packages/floe/dist', basename(url))).catch(() => null);
    if (body === null) return void response.writeHead(404).end();
    response.setHeader('Content-Type', url === '/' ? 'text/html' : 'text/javascript');
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  return server;
}

test('the first token of a short prompt comes before a third of the file, at 20 Mbit/s', async ({ page }, info) => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-first-'));
  const file = join(folder, 'model.gguf');
  const bytes = randomModel({ ...shape, architecture: 'arctic', type: 'Q4_0', seed: 7, nCtxTrain: 64 });
  await writeFile(file, bytes);
  const server = await ModelServer.start(file);
  server.bytesPerSecond = BYTES_PER_SECOND;
  let atFirst = 0;
  const site = await serve(() => {
    atFirst = server.sentBytes;
  });
  try {
    await page.goto(`http://localhost:${(site.address() as AddressInfo).port}/`);
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
    site.closeAllConnections();
    site.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
});
