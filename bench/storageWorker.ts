/** In a worker of the page: writes and reads records by the library's own store, and tells how long that took. */
import { browserHost } from '../packages/floe/src/host/index.ts';
import { Database } from '../packages/floe/src/store/database.ts';
import type { Manifest } from '../packages/floe/src/store/manifest.ts';

export interface StorageTask {
  readonly backend: 'IndexedDB' | 'files';
  readonly sizeBytes: number;
  readonly nRecords: number;
}

/** Milliseconds for all records, one after the other. */
export interface StorageTimes {
  readonly writeMs: number;
  readonly readMs: number;
}

const manifest: Manifest = {
  model: 'bench',
  url: 'bench',
  state: 'downloading',
  order: 1,
  generation: 'bench',
  packingVersion: 1,
  layout: '',
  fileBytes: 0,
  version: null,
  header: new Uint8Array(0),
  headerSha256: '',
  recordSha256s: new Uint8Array(0),
  rootSha256: '',
  nRecords: 0,
  totalBytes: 0,
  fileSha256: null,
};

globalThis.onmessage = async ({ data }: MessageEvent<StorageTask>) => {
  try {
    globalThis.postMessage({ times: await run(data) });
  } catch (error) {
    globalThis.postMessage({ problem: String(error) });
  }
};

async function run({ backend, sizeBytes, nRecords }: StorageTask): Promise<StorageTimes> {
  const host = browserHost();
  if (!host.indexedDB || !host.files) throw new Error('this browser lacks IndexedDB or files');
  const files = backend === 'files' ? { ...host.files, leastBytes: 0 } : null;
  const notices: string[] = [];
  const db = new Database({ ...host, files }, host.indexedDB, ({ message }) => notices.push(message));
  try {
    await db.putManifest(manifest);
    const records = Array.from({ length: nRecords }, (_, i) => ({
      key: String(i),
      bytes: randomBytes(sizeBytes),
      sha256: new Uint8Array(32),
    }));
    const writeMs = await timed(async () => {
      for (const record of records) await db.putRecords(manifest, [record], 0);
    });
    const readMs = await timed(async () => {
      for (const { key, bytes } of records) {
        const found = await db.record(manifest.model, key);
        if (found?.length !== sizeBytes || found.at(-1) !== bytes.at(-1)) throw new Error('other bytes came back');
      }
    });
    if (notices.length > 0) throw new Error(notices.join());
    return { writeMs, readMs };
  } finally {
    await db.deleteModel(manifest.model);
    db.close();
  }
}

/** IndexedDB compresses: what repeats itself would be no measure. */
function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}
