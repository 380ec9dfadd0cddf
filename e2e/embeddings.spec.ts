/** Vectors of texts across the worker, with the library as it is published. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomModel } from '../packages/testkit/src/randomModel.ts';
import { expect, test } from './fixtures.ts';
import { serveLibrary } from './librarySite.ts';
import { ModelServer } from './modelServer.ts';

const html = '<!doctype html><link rel="icon" href="data:,"><title>vectors</title>';
const dims = { nLayers: 1, modelDim: 64, nHeads: 4, nKvHeads: 4, ffDim: 96, nVocab: 320 };

test('a page gets vectors from the worker, an abort and a refusal too', async ({ page }) => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-vectors-'));
  const file = join(folder, 'bert.gguf');
  await writeFile(file, randomModel({ ...dims, architecture: 'bert', type: 'F32', seed: 3 }));
  const server = await ModelServer.start(file);
  const site = await serveLibrary((path) => (path === '/' ? html : undefined));
  try {
    await page.goto(site.url);
    const found = await page.evaluate(async (url) => {
      const { loadModel } = await import('/floe/index.js' as string);
      const model = await loadModel(url);
      const codeOf = (call: Promise<unknown>) => call.then(String, (error: { code?: string }) => error.code);
      const { data, usage } = await model.embeddings.create({ input: ['a text', 'another', 'a text'] });
      const messages = [{ role: 'user', content: 'hi' }];
      const codes = [
        await codeOf(model.embeddings.create({ input: 'a', signal: AbortSignal.abort() })),
        await codeOf(model.chat.completions.create({ messages })),
        await codeOf(model.embeddings.create({ input: [] })),
      ];
      await model.unload();
      return { vectors: data.map(({ embedding }: { embedding: number[] }) => embedding), usage, codes };
    }, server.url);
    const [one, other, again] = found.vectors as number[][];
    expect(one).toHaveLength(64);
    expect(Math.hypot(...one!)).toBeCloseTo(1, 6);
    expect(again).toEqual(one);
    expect(other).not.toEqual(one);
    expect(found.usage.prompt_tokens).toBeGreaterThan(6);
    expect(found.codes).toEqual(['request/aborted', 'request/unsupported', 'request/invalid']);
  } finally {
    site.close();
    await server.close();
    await rm(folder, { recursive: true });
  }
});
