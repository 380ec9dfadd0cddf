/** What a person may bring that can't run: each ends in a typed error that says what is wrong and what to do. */
import {
  soundModel,
  tensorOutside,
  unknownArchitecture,
  withQuantization,
  wrongMagic,
} from '@floe/testkit/brokenModels';
import { testData } from '@floe/testkit/data';
import { testGpu } from '@floe/testkit/nodeGpu';
import { describe, expect, it } from 'vitest';
import { FloeError } from '../errors/index.ts';
import { nodeHost } from '../host/node.ts';
import { loadInThread, type ThreadOptions } from './load.ts';

const sound = soundModel();

async function errorOf(bytes: Uint8Array, options: ThreadOptions & { noGpu?: boolean } = {}): Promise<FloeError> {
  const host = nodeHost(options.noGpu ? null : testGpu());
  const source = new Blob([bytes as Uint8Array<ArrayBuffer>]);
  const model = await loadInThread(host, source, options).catch((error: unknown) => error);
  expect(model).toBeInstanceOf(FloeError);
  const error = model as FloeError;
  expect(error.message.length).toBeGreaterThan(20);
  expect(error.remedy.length).toBeGreaterThan(10);
  return error;
}

describe('loading', () => {
  it.each([
    ['a wrong magic', wrongMagic, 'gguf/not-gguf', /GGUF/],
    ['a file cut in its header', () => sound.subarray(0, 20), 'gguf/truncated', /\d/],
    ['a file cut in its weights', () => sound.subarray(0, sound.length - 4096), 'gguf/out-of-bounds', /\d/],
    ['an unknown architecture', unknownArchitecture, 'model/unsupported-architecture', /lamma/],
    ['an unknown quantization', () => withQuantization(31), 'gguf/unsupported-type', /token_embd/],
    ['a quantization Floe has no kernels for', () => withQuantization(28), 'gguf/unsupported-type', /token_embd/],
    ['a tensor outside the file', tensorOutside, 'gguf/', /token_embd/],
  ] as const)('refuses %s', async (_, make, code, says) => {
    const error = await errorOf(make());
    expect(error.code.startsWith(code), `${error.code}: ${error.message}`).toBe(true);
    expect(error.message).toMatch(says);
  });

  it('refuses a device without WebGPU before anything is read', async () => {
    expect((await errorOf(sound, { noGpu: true })).code).toBe('gpu/unavailable');
  });

  it('refuses a file that is not the one its hash names', async () => {
    expect((await errorOf(sound, { sha256: '0'.repeat(64) })).code).toBe('net/source-changed');
  });

  it('refuses a context longer than the model was trained for', async () => {
    expect(await errorOf(sound, { contextLength: 1 << 20 })).toMatchObject({
      code: 'request/invalid',
      details: { argument: 'contextLength' },
    });
  });

  it('refuses a path with nothing behind it', async () => {
    const error = await loadInThread(nodeHost(testGpu()), { path: '/nowhere/model.gguf' }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FloeError);
    expect((error as FloeError).code).not.toBe('internal');
  });

  it('accepts the file all of these were made from', async () => {
    const model = await loadInThread(nodeHost(testGpu()), new Blob([sound as Uint8Array<ArrayBuffer>]));
    expect(model.info.architecture).toBe('llama');
    await model.unload();
  });

  it('stops at its signal', async () => {
    const controller = new AbortController();
    const load = loadInThread(
      nodeHost(testGpu()),
      { path: testData('arctic-tiny-sql-q8_0.gguf')! },
      {
        signal: controller.signal,
        onProgress: ({ phase }) => phase === 'upload' && controller.abort(),
      },
    );
    await expect(load).rejects.toMatchObject({ code: 'request/aborted' });
  });
});
