/** Floe beside `@wllama/wllama` (llama.cpp in WebAssembly, one thread), on one file in one headless Chromium. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, extname, join } from 'node:path';
import { chromiumFlags, findChromium } from '@floe/devkit/chromium.mjs';
import { chromium } from 'playwright-core';
import { type Row, round } from './report.ts';

const ROUNDS = 4;
const DECODED_TOKENS = 48;

/** Tokens per second of one engine. */
interface Speed {
  readonly prefill: number;
  readonly decode: number;
  readonly promptTokens: number;
}

export interface Comparison {
  readonly rows: readonly Row[];
  /** Floe's speed by wllama's. */
  readonly ratio: { readonly prefill: number; readonly decode: number };
}

export async function compareWithWllama(model: string, evalSet: string): Promise<Comparison> {
  const server = await serve(model);
  const browser = await chromium.launch({
    executablePath: findChromium() ?? '',
    args: [...chromiumFlags, '--headless=new'],
  });
  try {
    const page = await browser.newPage();
    await page.goto(server.origin);
    // The question of the longest answer: end tokens can't be forbidden to both engines.
    const items = readFileSync(evalSet, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Item);
    const { messages } = items.reduce((a, b) => (b.expected.length > a.expected.length ? b : a));
    const best = await page.evaluate(measureInPage, { messages, nRounds: ROUNDS, nTokens: DECODED_TOKENS });
    const rows = (['floe', 'wllama'] as const).map((engine): Row => {
      const { prefill, decode, promptTokens } = best[engine];
      return {
        bench: 'in Chromium, arctic-tiny Q8_0',
        name: engine,
        promptTokens,
        prefillTokensPerS: round(prefill),
        decodeTokensPerS: round(decode),
      };
    });
    const { floe, wllama } = best;
    return { rows, ratio: { prefill: floe.prefill / wllama.prefill, decode: floe.decode / wllama.decode } };
  } finally {
    await browser.close();
    server.close();
  }
}

interface Item {
  readonly messages: { role: 'system' | 'user' | 'assistant'; content: string }[];
  readonly expected: string;
}

interface PageArguments {
  readonly messages: Item['messages'];
  readonly nRounds: number;
  readonly nTokens: number;
}

/** What is used of wllama. Its package's types are its TypeScript source, which is not as strict as this project. */
interface WllamaModule {
  readonly Wllama: new (
    paths: { default: string },
    options: { suppressNativeLog: boolean },
  ) => {
    loadModel(files: Blob[], options: Readonly<Record<string, number>>): Promise<void>;
    createChatCompletion(request: { messages: Item['messages']; max_tokens: number; temperature: number }): Promise<{
      timings?: { prompt_per_second: number; predicted_per_second: number; prompt_n: number; predicted_n: number };
    }>;
    exit(): Promise<void>;
  };
}

/** Runs in the page: both engines loaded, then in turns; the best of each. */
async function measureInPage({ messages, nRounds, nTokens }: PageArguments): Promise<Record<'floe' | 'wllama', Speed>> {
  const [floePath, wllamaPath] = ['/floe/index.js', '/wllama/index.js'];
  const { loadModel } = (await import(floePath)) as typeof import('floe');
  const { Wllama } = (await import(wllamaPath)) as WllamaModule;
  const floe = await loadModel(new URL('/model.gguf', location.href), { contextLength: 384, download: 'first' });
  const wllama = new Wllama({ default: '/wllama/wasm/wllama.wasm' }, { suppressNativeLog: true });
  const file = await (await fetch('/model.gguf')).blob();
  // Floe's rarer kernels compile beside its first answers; speeds are those of a page that has been open for a while.
  for (let i = 0; i < 6; i++)
    await floe.completions.create({ prompt: `${i} ${prompt}`, max_tokens: 1, temperature: 0 });
  await new Promise((resolve) => setTimeout(resolve, 15_000));
  await wllama.loadModel([file], { n_threads: 1, n_gpu_layers: 0, n_ctx: 384, n_parallel: 1 });
  const best = {
    floe: { prefill: 0, decode: 0, promptTokens: 0 },
    wllama: { prefill: 0, decode: 0, promptTokens: 0 },
  };
  const note = (engine: 'floe' | 'wllama', prefill: number, decode: number, promptTokens: number) => {
    const before = best[engine];
    best[engine] = {
      prefill: Math.max(before.prefill, prefill),
      decode: Math.max(before.decode, decode),
      promptTokens,
    };
  };
  // Round 0 warms up. Each round's prompt begins otherwise, so that no cache of a prefix helps either.
  for (let round = 0; round <= nRounds; round++) {
    const asked = messages.map((message) => ({ ...message, content: `-- ${round}\n${message.content}` }));
    const common = { messages: asked, max_tokens: nTokens, temperature: 0 };
    const ours = await floe.chat.completions.create(common);
    const theirs = await wllama.createChatCompletion(common);
    if (round === 0) continue;
    const { usage, choices } = ours;
    // `decodeMs` runs from the first token to the last, which may be an end token that is not counted.
    const nDecoded = usage.completion_tokens - (choices[0].finish_reason === 'length' ? 1 : 0);
    const decode = nDecoded > 4 ? (nDecoded / usage.decodeMs) * 1000 : 0;
    note('floe', (usage.prompt_tokens / usage.prefillMs) * 1000, decode, usage.prompt_tokens);
    const timings = theirs.timings!;
    note(
      'wllama',
      timings.prompt_per_second,
      timings.predicted_n > 4 ? timings.predicted_per_second : 0,
      timings.prompt_n,
    );
  }
  await floe.unload();
  await wllama.exit();
  return best;
}

const types: Readonly<Record<string, string>> = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** An empty page, the two engines as they are published, and the model. */
async function serve(model: string): Promise<{ origin: string; close: () => void }> {
  const require = createRequire(import.meta.url);
  const folders = {
    '/floe/': join(dirname(require.resolve('floe/package.json')), 'dist'),
    '/wllama/': join(dirname(require.resolve('@wllama/wllama/package.json')), 'esm'),
  };
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    const folder = Object.entries(folders).find(([prefix]) => path.startsWith(prefix));
    try {
      if (path === '/model.gguf') {
        response.end(readFileSync(model));
      } else if (folder) {
        response.setHeader('Content-Type', types[extname(path)] ?? 'application/octet-stream');
        response.end(readFileSync(join(folder[1], path.slice(folder[0].length))));
      } else {
        response.setHeader('Content-Type', 'text/html');
        response.end('<!doctype html><title>bench</title>');
      }
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, close: () => server.close() };
}
