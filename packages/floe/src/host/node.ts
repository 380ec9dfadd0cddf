import { open } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { totalmem } from 'node:os';
import { Worker } from 'node:worker_threads';
import { GgufError } from '../errors/index.ts';
import { secureRandom, sha256, systemClock } from './clock.ts';
import type { FileReader, Host, WorkerPort } from './host.ts';

/** Node. `gpu` comes from the npm package `webgpu`, which the caller loads: Floe itself has no native code. */
export function nodeHost(gpu: GPU | null): Host {
  return {
    fetch: (url, init) => fetch(url, init),
    indexedDB: null,
    locks: null,
    storage: null,
    files: null,
    memoryBytes: totalmem(),
    sha256,
    gpu,
    clock: systemClock,
    random: secureRandom,
    openFile,
    startTemplateWorker: () => threadPort(new Worker(createRequire(import.meta.url).resolve('#template-worker'))),
  };
}

async function openFile(path: string): Promise<FileReader> {
  const handle = await open(path, 'r');
  const { size } = await handle.stat();
  return {
    sizeBytes: size,
    read: async (offset, length) => {
      const bytes = new Uint8Array(length);
      for (let filled = 0; filled < length; ) {
        const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) throw endedBefore(path, offset + length, offset + filled);
        filled += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

function endedBefore(path: string, wantedBytes: number, sizeBytes: number): GgufError {
  return new GgufError('gguf/truncated', `${path} ends at byte ${sizeBytes}; byte ${wantedBytes} was asked for.`, {
    remedy: 'The file changed while it was read, or its download was cut. Download it again.',
    details: { path, wantedBytes, sizeBytes },
  });
}

function threadPort(worker: Worker): WorkerPort {
  worker.unref();
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.on('message', listener),
    onError: (listener) => worker.on('error', listener),
    terminate: () => void worker.terminate(),
  };
}
