/** A page that is killed in the middle of an answer: opened again, the conversation goes on from storage. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { randomModel } from '../packages/testkit/src/randomModel.ts';
import { expect, test } from './fixtures.ts';
import { serveLibrary } from './librarySite.ts';
import { ModelServer } from './modelServer.ts';

const html = '<!doctype html><link rel="icon" href="data:,"><title>conversations</title>';
const dims = { nLayers: 1, modelDim: 64, nHeads: 4, nKvHeads: 2, ffDim: 96, nVocab: 320 };
const request = { prompt: 'a quick brown fox jumps', temperature: 0, max_tokens: 120 };

test('a page killed in mid-answer goes on where it was, with the tokens of an uninterrupted one', async ({
  context,
}) => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-conversations-'));
  const file = join(folder, 'llama.gguf');
  await writeFile(file, randomModel({ ...dims, architecture: 'llama', type: 'F32', seed: 5 }));
  const server = await ModelServer.start(file);
  const site = await serveLibrary((path) => (path === '/' ? html : undefined));
  const open = async (): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(site.url);
    await page.evaluate(async (url) => {
      const { loadModel } = await import('/floe/index.js' as string);
      Object.assign(globalThis, { model: await loadModel(url) });
    }, server.url);
    return page;
  };
  try {
    const first = await open();
    const nSaved = await first.evaluate(async (request) => {
      const { model } = globalThis as unknown as { model: import('../packages/floe/src/api/index.ts').Model };
      const stream = model.completions.create({ ...request, stream: true, save: 'a' })[Symbol.asyncIterator]();
      for (;;) {
        if ((await stream.next()).done) throw new Error('the answer ended before it was saved');
        const [one] = await model.conversations.list();
        if (one && one.answerTokens > 32) return one.answerTokens;
      }
    }, request);
    expect(nSaved).toBeLessThan(request.max_tokens);
    // Not a word of farewell: the worker dies in the middle of its work.
    await first.close({ runBeforeUnload: false });
    const found = await (await open()).evaluate(async (request) => {
      const { model } = globalThis as unknown as { model: import('../packages/floe/src/api/index.ts').Model };
      let [text, cached] = ['', -1];
      for await (const { choices, usage } of model.conversations.resume('a')) {
        text += choices[0].delta.content ?? '';
        cached = usage?.cachedTokens ?? cached;
      }
      const whole = await model.completions.create(request);
      const gone = model.conversations.resume('b')[Symbol.asyncIterator]().next();
      const code = await gone.then(String, (error: { code?: string }) => error.code);
      await model.conversations.delete('a');
      return { text, cached, whole: whole.text, code, left: await model.conversations.list() };
    }, request);
    expect(found.text).toBe(found.whole);
    expect(found.cached).toBeGreaterThan(4);
    expect(found.code).toBe('context/not-saved');
    expect(found.left).toEqual([]);
  } finally {
    site.close();
    await server.close();
    await rm(folder, { recursive: true });
  }
});
