/** What a person may bring that can't run: each ends in a typed error that says what is wrong and what to do. */
import { testData } from '@floe/testkit/data';
import { testGpu } from '@floe/testkit/nodeGpu';
import { randomModel } from '@floe/testkit/randomModel';
import { describe, expect, it } from 'vitest';
import { FloeError } from '../errors/index.ts';
import { nodeHost } from '../host/node.ts';
import { loadInThread, type ThreadOptions } from './load.ts';

const sound = new Uint8Array(
  randomModel({
    architecture: 'llama',
    nLayers: 1,
    modelDim: 32,
    nHeads: 2,
    nKvHeads: 2,
    ffDim: 32,
    nVocab: 300,
    type: 'F32',
    seed: 1,
  }),
);

/** `sound` with the first occurrence of `from` written over by `to`, which is as long. */
function patched(from: string, to: string): Uint8Array {
  const bytes = Buffer.from(sound);
  const at = bytes.indexOf(from);
  if (at < 0 || from.length !== to.length) throw new Error(`can't patch ${from}`);
  bytes.write(to, at, 'latin1');
  return bytes;
}

/** `sound` with another ggml type for its first tensor: the u32 behind the name, the rank and two dimensions. */
function withType(type: number): Uint8Array {
  const bytes = Buffer.from(sound);
  const name = 'token_embd.weight';
  bytes.writeUInt32LE(type, bytes.indexOf(name) + name.length + 4 + 2 * 8);
  return bytes;
}

/** `sound` with the offset of its first tensor moved behind the end of the file. */
function outsideOfFile(): Uint8Array {
  const bytes = Buffer.from(sound);
  const name = 'token_embd.weight';
  bytes.writeBigUInt64LE(1n << 40n, bytes.indexOf(name) + name.length + 4 + 2 * 8 + 4);
  return bytes;
}

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
    ['a wrong magic', () => patched('GGUF', 'GGML'), 'gguf/not-gguf', /GGUF/],
    ['a file cut in its header', () => sound.slice(0, 20), 'gguf/truncated', /\d/],
    ['a file cut in its weights', () => sound.slice(0, sound.length - 4096), 'gguf/out-of-bounds', /\d/],
    ['an unknown architecture', () => patched('llama', 'lamma'), 'model/unsupported-architecture', /lamma/],
    ['an unknown quantization', () => withType(31), 'gguf/unsupported-type', /token_embd/],
    ['a quantization Floe has no kernels for', () => withType(28), 'gguf/unsupported-type', /token_embd/],
    ['a tensor outside the file', () => outsideOfFile(), 'gguf/', /token_embd/],
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
    const model = await loadInThread(nodeHost(testGpu()), new Blob([sound]));
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
