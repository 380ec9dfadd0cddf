/** A page with the built library in a Chromium whose profile lies on the disk, and what is done in that page. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { chromiumFlags, findChromium } from '@floe/devkit/chromium.mjs';
import type { LoadOptions, MemoryReport, Model, ModelInfo, PositionLogprobs } from 'floe';
import { chromium, type Page } from 'playwright-core';

export interface Budget {
  readonly gpuBytes: number;
  readonly memoryBytes: number;
}

/** What one visit asks of the model. */
export interface Questions {
  readonly prompts: readonly string[];
  readonly nTokens: number;
}

export interface Answer {
  readonly promptIds: readonly number[];
  readonly ids: readonly number[];
  readonly prefillMs: number;
  readonly decodeMs: number;
}

export interface OpenedPage {
  readonly page: Page;
  readonly close: () => Promise<void>;
}

/** Opens an empty page beside the library. Closing it deletes the profile, gigabytes of stored experts with it. */
export async function openPage(): Promise<OpenedPage> {
  const server = await serveLibrary();
  const profile = mkdtempSync(join(tmpdir(), 'floe-real-size-'));
  // A context of a profile: in one without, as tests have, Chromium keeps IndexedDB in memory.
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: findChromium() ?? '',
    args: [...chromiumFlags, '--headless=new'],
  });
  const close = async () => {
    await context.close();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const page = await context.newPage();
    await page.goto(server.origin);
    return { page, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The model of a page between two calls into it. */
interface Held {
  floeModel?: Model;
}

/** Loads the model into the page, under the budget. */
export function load(page: Page, url: string, budget: Budget): Promise<ModelInfo> {
  return page.evaluate(
    async ({ url, budget, library }) => {
      const { loadModel } = (await import(library)) as typeof import('floe');
      const options: LoadOptions = { contextLength: 256, budget, download: 'on-demand' };
      const model = await loadModel(url, options);
      (globalThis as Held).floeModel = model;
      return model.info;
    },
    // An argument, since the bundler would look for what a constant names.
    { url, budget, library: '/floe/index.js' },
  );
}

/** One greedy answer. */
export function ask(page: Page, prompt: string, nTokens: number): Promise<Answer> {
  return page.evaluate(
    async ({ prompt, nTokens }) => {
      const model = (globalThis as Held).floeModel!;
      const promptIds = await model.tokenize(prompt);
      const { ids, usage } = await model.completions.create({ prompt, max_tokens: nTokens, temperature: 0 });
      return { promptIds, ids, prefillMs: usage.prefillMs, decodeMs: usage.decodeMs };
    },
    { prompt, nTokens },
  );
}

/** The whole distribution behind each of `ids`. */
export function logprobs(page: Page, ids: readonly number[], nVocab: number): Promise<PositionLogprobs[]> {
  return page.evaluate(({ ids, nVocab }) => (globalThis as Held).floeModel!.logprobs(ids, { top: nVocab }), {
    ids,
    nVocab,
  });
}

export function memory(page: Page): Promise<MemoryReport> {
  return page.evaluate(() => (globalThis as Held).floeModel!.memory());
}

export function unload(page: Page): Promise<void> {
  return page.evaluate(() => (globalThis as Held).floeModel!.unload());
}

/** An empty page and the library as it is published. */
async function serveLibrary(): Promise<{ origin: string; close: () => void }> {
  const dist = join(dirname(createRequire(import.meta.url).resolve('floe/package.json')), 'dist');
  const server = createServer((request, response) => {
    const script = /^\/floe\/([\w.-]+\.js)$/.exec(request.url ?? '')?.[1];
    try {
      response.setHeader('Content-Type', script ? 'text/javascript' : 'text/html');
      response.end(script ? readFileSync(join(dist, script)) : '<!doctype html><title>bench</title>');
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
