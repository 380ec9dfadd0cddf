import { secureRandom, sha256, systemClock } from './clock.ts';
import type { Host, WorkerPort } from './host.ts';

/** In Chromium opening a file costs 1.5 ms or more; IndexedDB is the faster by that below this: docs/performance.md. */
const LEAST_FILE_BYTES = 512 * 2 ** 10;

/** The browser, seen from a page or a worker. */
export function browserHost(): Host {
  const storage = navigator.storage;
  return {
    fetch: (url, init) => fetch(url, init),
    indexedDB: globalThis.indexedDB ?? null,
    locks: navigator.locks ?? null,
    storage: storage && {
      estimate: async () => {
        const { usage = 0, quota = 0 } = await storage.estimate();
        return { usageBytes: usage, quotaBytes: quota };
      },
      // A page may ask, a worker may not: there the method is missing, and `worker/client.ts` asks.
      persist: async () => (await storage.persist?.()) ?? false,
    },
    files:
      typeof storage?.getDirectory === 'function'
        ? { root: () => storage.getDirectory(), leastBytes: LEAST_FILE_BYTES }
        : null,
    memoryBytes: deviceMemoryBytes(),
    sha256,
    gpu: navigator.gpu ?? null,
    clock: systemClock,
    random: secureRandom,
    openFile: null,
    startTemplateWorker: () =>
      webWorkerPort(new Worker(new URL('./templateWorker.js', import.meta.url), { type: 'module' })),
  };
}

/** `navigator.deviceMemory` is in GiB, and only in some browsers. */
function deviceMemoryBytes(): number | null {
  const { deviceMemory } = navigator as { deviceMemory?: number };
  return deviceMemory === undefined ? null : deviceMemory * 2 ** 30;
}

function webWorkerPort(worker: Worker): WorkerPort {
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.addEventListener('message', (event) => listener(event.data)),
    onError: (listener) =>
      worker.addEventListener('error', (event) => listener(new Error(event.message || 'the worker failed to start'))),
    terminate: () => worker.terminate(),
  };
}
