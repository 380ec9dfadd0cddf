/** Adapters of a loaded model: what a caller may rely on. That their numbers are right, generate/adapters.test.ts holds. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startFilesServer } from '@floe/testkit/filesServer';
import { testGpu } from '@floe/testkit/nodeGpu';
import { randomAdapter } from '@floe/testkit/randomAdapter';
import { type RandomModelOptions, randomModel } from '@floe/testkit/randomModel';
import { IDBFactory } from 'fake-indexeddb';
import 'fake-indexeddb/auto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeHost } from '../host/node.ts';
import { loadInThread } from './load.ts';
import type { Model } from './types.ts';

const options: RandomModelOptions = {
  ...{ architecture: 'llama', nLayers: 1, modelDim: 32, nHeads: 2, nKvHeads: 2, ffDim: 32, nVocab: 300 },
  ...{ type: 'F32', seed: 1 },
};
const folder = mkdtempSync(join(tmpdir(), 'floe-model-adapters-'));
const write = (name: string, bytes: Uint8Array) => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return { path };
};
const source = write('model.gguf', randomModel(options));
const bytes = randomAdapter(options, { seed: 3, rank: 4, alpha: 8 });
const adapter = write('adapter.gguf', bytes);

let model: Model;
beforeAll(async () => {
  model = await loadInThread({ ...nodeHost(testGpu()), indexedDB: new IDBFactory() }, source);
}, 120_000);
afterAll(() => model?.unload());

const IDS = [5, 17, 200, 3];
const logprobs = () => model.logprobs(IDS, { top: 10 });
const adapterBytes = async () => (await model.memory()).gpuBytes.adapters;

describe('model.adapters', () => {
  it('adds, weighs and removes while the model stays loaded', async () => {
    const plain = await logprobs();
    const added = await model.adapters.add(adapter, { scale: 0.5 });
    const half = await logprobs();
    expect(half).not.toEqual(plain);
    expect(added).toMatchObject({ name: 'adapter.gguf', scale: 0.5, nTensors: 9, rank: 4 });
    expect(await model.adapters.list()).toEqual([
      { id: added.id, name: 'adapter.gguf', scale: 0.5, nTensors: 9, rank: 4, gpuBytes: added.gpuBytes },
    ]);
    expect(await adapterBytes()).toBeGreaterThanOrEqual(added.gpuBytes);

    await added.setScale(1);
    expect(added.scale).toBe(1);
    expect(await logprobs()).not.toEqual(half);
    await added.setScale(0);
    expect(await logprobs()).toEqual(plain);
    await added.setScale(0.5);
    expect(await logprobs()).toEqual(half);

    await Promise.all([added.remove(), added.remove()]);
    expect(await logprobs()).toEqual(plain);
    expect(await model.adapters.list()).toEqual([]);
    expect(await adapterBytes()).toBe(0);
    await expect(added.setScale(1)).rejects.toMatchObject({ code: 'request/invalid' });
    await expect(added.remove()).resolves.toBeUndefined();
  });

  it('adds two at once, a file that was chosen among them, and takes either away', async () => {
    const plain = await logprobs();
    const other = new File(
      [randomAdapter(options, { seed: 4, rank: 2, alpha: 2 }) as Uint8Array<ArrayBuffer>],
      'other.gguf',
    );
    const [first, second] = await Promise.all([model.adapters.add(adapter), model.adapters.add(other)]);
    const both = await logprobs();
    await first.remove();
    const one = await logprobs();
    expect(one).not.toEqual(both);
    expect(one).not.toEqual(plain);
    expect((await model.adapters.list()).map(({ name }) => name)).toEqual(['other.gguf']);
    await second.remove();
    expect(await logprobs()).toEqual(plain);
  });

  it('keeps an adapter of an address, and takes it from there when the network is gone', async () => {
    const plain = await logprobs();
    const server = await startFilesServer(new Map([['/a.gguf', bytes]]));
    const first = await model.adapters.add(`${server.origin}/a.gguf`);
    const adapted = await logprobs();
    await first.remove();
    await server[Symbol.asyncDispose]();
    const second = await model.adapters.add(`${server.origin}/a.gguf`);
    expect(second.id).not.toBe(first.id);
    expect(await logprobs()).toEqual(adapted);
    await second.remove();
    expect(await logprobs()).toEqual(plain);
  });

  it('reuses no prefix that was computed without it, and lets an answer under way end as it began', async () => {
    // Longer than a block of the cache, which is what conversations share.
    const request = { prompt: 'a b c d '.repeat(12), temperature: 0, max_tokens: 6 } as const;
    const plain = await model.completions.create(request);
    expect((await model.completions.create(request)).usage.cachedTokens).toBeGreaterThan(0);
    const stream = model.completions.create({ ...request, stream: true })[Symbol.asyncIterator]();
    let text = (await stream.next()).value?.choices[0].delta.content ?? '';
    const adding = model.adapters.add(adapter, { scale: 2 });
    for (let next = await stream.next(); !next.done; next = await stream.next()) {
      text += next.value.choices[0].delta.content ?? '';
    }
    expect(text).toBe(plain.text);
    const added = await adding;
    const adapted = await model.completions.create(request);
    expect(adapted.usage.cachedTokens).toBe(0);
    expect(adapted.ids).not.toEqual(plain.ids);
    await added.remove();
    const again = await model.completions.create(request);
    expect(again.usage.cachedTokens).toBe(0);
    expect(again.ids).toEqual(plain.ids);
  });

  it('goes on with what was saved under it, and computes again what was under another of its name and sizes', async () => {
    const request = { prompt: 'a b c d '.repeat(12), temperature: 0, max_tokens: 6, save: 'adapted' } as const;
    const resumed = async () => {
      let cached = -1;
      for await (const { usage } of model.conversations.resume('adapted')) cached = usage?.cachedTokens ?? cached;
      return cached;
    };
    const added = await model.adapters.add(adapter);
    await model.completions.create(request);
    await added.remove();
    const twin = randomAdapter(options, { seed: 5, rank: 4, alpha: 8 }) as Uint8Array<ArrayBuffer>;
    const other = await model.adapters.add(new File([twin], 'adapter.gguf'));
    expect(await resumed()).toBe(0);
    await other.remove();
    const before = await model.adapters.add(adapter);
    await model.completions.create(request);
    await before.remove();
    const again = await model.adapters.add(adapter);
    expect(await resumed()).toBeGreaterThan(32);
    await again.remove();
  });

  it.each([
    {
      what: 'an adapter of another model',
      add: () =>
        model.adapters.add(
          write('wide.gguf', randomAdapter({ ...options, modelDim: 64 }, { seed: 3, rank: 4, alpha: 8 })),
        ),
      code: 'model/adapter',
    },
    { what: 'a model', add: () => model.adapters.add(source), code: 'model/adapter' },
    {
      what: 'a file that ends too soon',
      add: () => model.adapters.add(write('cut.gguf', bytes.subarray(0, -300))),
      code: 'gguf/out-of-bounds',
    },
    { what: 'what is no GGUF', add: () => model.adapters.add(new Blob(['<html>'])), code: 'gguf/not-gguf' },
    {
      what: 'a scale that is none',
      add: () => model.adapters.add(adapter, { scale: Number.NaN }),
      code: 'request/invalid',
    },
    {
      what: 'a call that is aborted',
      add: () => model.adapters.add(adapter, { signal: AbortSignal.abort() }),
      code: 'request/aborted',
    },
  ])('refuses $what, and stays as it was', async ({ add, code }) => {
    const plain = await logprobs();
    await expect(add()).rejects.toMatchObject({ code });
    expect(await model.adapters.list()).toEqual([]);
    expect(await adapterBytes()).toBe(0);
    expect(await logprobs()).toEqual(plain);
  });

  it('ends with the model, wherever it is by then', async () => {
    const adding = model.adapters.add(adapter).catch((error: unknown) => error);
    await model.unload();
    expect(await adding).toMatchObject({ code: expect.stringMatching(/^request\//) });
    await expect(model.adapters.add(adapter)).rejects.toMatchObject({ code: expect.stringMatching(/^request\//) });
  });
});
