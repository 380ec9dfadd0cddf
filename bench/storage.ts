/**
 * `node packages/devkit/run.mjs bench/storage.ts [--runs N] [--json]`: how fast Chromium writes and reads records by the
 * library's store, in IndexedDB and in files of the origin, on this machine's disk.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import { rolldown } from 'rolldown';
import { openPage } from './realSizePage.ts';
import type { StorageTask, StorageTimes } from './storageWorker.ts';

const { values: options } = parseArgs({
  options: { runs: { type: 'string', default: '3' }, json: { type: 'boolean', default: false } },
});

/** A norm; below and at the limit from which records are files; a small expert; one of Arctic at Q4_0. */
const sizes = [
  { sizeBytes: 16 * 2 ** 10, nRecords: 64 },
  { sizeBytes: 128 * 2 ** 10, nRecords: 64 },
  { sizeBytes: 256 * 2 ** 10, nRecords: 64 },
  { sizeBytes: 2 ** 20, nRecords: 32 },
  { sizeBytes: 8 * 2 ** 20, nRecords: 8 },
  { sizeBytes: 58_834_944, nRecords: 3 },
];
const backends = ['IndexedDB', 'files'] as const;

const { page, close } = await openPage();
try {
  const script = await workerScript();
  const rows = [];
  for (const size of sizes) {
    const times = new Map<string, StorageTimes[]>(backends.map((backend) => [backend, []]));
    // In turns: what else the machine does, it does to both.
    for (let run = 0; run < Number(options.runs); run++) {
      for (const backend of backends) times.get(backend)!.push(await measure(page, script, { backend, ...size }));
    }
    const mbPerS = (backend: string, which: keyof StorageTimes) =>
      (size.nRecords * size.sizeBytes) / 1e3 / median(times.get(backend)!.map((each) => each[which]));
    const [idbWrite, idbRead] = [mbPerS('IndexedDB', 'writeMs'), mbPerS('IndexedDB', 'readMs')];
    const [fileWrite, fileRead] = [mbPerS('files', 'writeMs'), mbPerS('files', 'readMs')];
    rows.push({
      recordKB: Math.round(size.sizeBytes / 1e3),
      indexedDbWriteMBs: Math.round(idbWrite),
      filesWriteMBs: Math.round(fileWrite),
      writeRatio: Math.round((100 * fileWrite) / idbWrite) / 100,
      indexedDbReadMBs: Math.round(idbRead),
      filesReadMBs: Math.round(fileRead),
      readRatio: Math.round((100 * fileRead) / idbRead) / 100,
    });
  }
  if (options.json) console.log(JSON.stringify(rows));
  else console.table(rows);
} finally {
  await close();
}

/** The worker and the store in it, as one script. */
async function workerScript(): Promise<string> {
  const bundle = await rolldown({ input: join(process.cwd(), 'bench/storageWorker.ts'), platform: 'browser' });
  const { output } = await bundle.generate({ format: 'esm' });
  return output[0].code;
}

async function measure(page: Page, script: string, task: StorageTask): Promise<StorageTimes> {
  const { times, problem } = await page.evaluate(
    ({ script, task }) =>
      new Promise<{ times?: StorageTimes; problem?: string }>((resolve, reject) => {
        const worker = new Worker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })), {
          type: 'module',
        });
        worker.onmessage = ({ data }) => {
          worker.terminate();
          resolve(data);
        };
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.postMessage(task);
      }),
    { script, task },
  );
  if (!times) throw new Error(problem);
  return times;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
