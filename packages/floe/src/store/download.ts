/**
 * A model file into the store. What is stored stays stored: a download that was cut goes on with the records that are
 * missing, and the manifest that makes the model usable comes last.
 */
import { throwIfAborted } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import type { Database } from './database.ts';
import { fileBytes } from './fetchPlan.ts';
import { type FetchedRecord, fetchByRanges, fetchFromStream, fetchRecord } from './fetchRecords.ts';
import { hex, layoutBytes, type Manifest, newName } from './manifest.ts';
import { refetched, type StoreNotice, type StoreStep } from './notices.ts';
import { PACKING_VERSION } from './pack.ts';
import type { RecordPlan } from './record.ts';
import { Sha256 } from './sha256.ts';
import type { ByteSource } from './source.ts';
import { checkFileSha256, hashStored, recordCorrupt } from './verifyFile.ts';

export interface Download {
  readonly host: Host;
  readonly source: ByteSource;
  readonly db: Database;
  /** Without query and fragment. */
  readonly url: string;
  /** The file's bytes up to the tensors' data. */
  readonly header: Uint8Array;
  readonly plans: readonly RecordPlan[];
  /** Those that are downloaded; the manifest is complete only if they are all. */
  readonly needed: readonly RecordPlan[];
  /** This very file, stored whole before: only `sha256` is left to check, and it stays as it is unless that is right. */
  readonly stored?: Manifest | undefined;
  /** Of the whole file, in hex, where its source publishes it. */
  readonly sha256?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((step: StoreStep) => void) | undefined;
  readonly onNotice?: ((notice: StoreNotice) => void) | undefined;
  /** The most that one request asks for. */
  readonly rangeBytes?: number | undefined;
}

/** A stream brings records one by one; a transaction for each norm would be slow. */
const BATCH_BYTES = 8 << 20;
/** Bytes come in pieces of some 16 KiB: nobody wants to hear of each. */
const REPORT_MS = 50;

/** The model's id: two files of one URL, at two times, are two models. */
export function modelId(url: string, source: { sizeBytes: number; version: string | null }): string {
  return `${url}#${source.sizeBytes}${source.version === null ? '' : `#${source.version}`}`;
}

/** A manifest, and what its model has stored. */
export interface Downloaded {
  readonly manifest: Manifest;
  /** SHA-256 of each record that is stored, by key. */
  readonly hashes: Map<string, Uint8Array>;
}

/**
 * Downloads what is needed and not stored yet, and completes the manifest if that is all. One at a time for a model:
 * callers hold its lock.
 *
 * @throws {NetError} the source failed for as long as `sources/retry.ts` has patience, or changed; all stored stays.
 * @throws {StoreError} `store/quota`: all stored stays, but for the batch that did not fit.
 */
export async function downloadModel(download: Download): Promise<Downloaded> {
  const { host, db, plans, needed, source } = download;
  const manifest = download.stored ?? (await begin(download));
  const hashes = await storedHashes(db, manifest, plans);
  const nStored = hashes.size;
  const missing = needed.filter(({ key }) => !hashes.has(key));
  if (nStored > 0 && missing.length > 0) {
    const message = `${nStored} of ${plans.length} records were stored by an earlier, cut download.`;
    download.onNotice?.({ kind: 'resumed', message });
  }
  const fileSha256 = source.ranges
    ? await downloadByRanges(download, manifest, missing, hashes)
    : await downloadStream(download, manifest, missing, hashes);
  if (hashes.size < plans.length) {
    askToPersist(host);
    return { manifest, hashes };
  }
  return { manifest: await complete(host, db, manifest, plans, hashes, fileSha256), hashes };
}

/** SHA-256 of each record that a mark says is stored; no record is read. */
export async function storedHashes(
  db: Database,
  manifest: Manifest,
  plans: readonly RecordPlan[],
): Promise<Map<string, Uint8Array>> {
  const hashes = new Map<string, Uint8Array>();
  const sizes = new Map(plans.map(({ key, sizeBytes }) => [key, sizeBytes]));
  for (const mark of await db.marks(manifest.model, manifest.generation)) {
    if (sizes.get(mark.key) === mark.sizeBytes) hashes.set(mark.key, mark.sha256);
  }
  return hashes;
}

/** The manifest records are stored under: the one of a cut download of the same file and layout, or a new one. */
async function begin(download: Download): Promise<Manifest> {
  const { host, db, url, source, header, plans } = download;
  const model = modelId(url, source);
  const layout = hex(await host.sha256(layoutBytes(plans)));
  const known = await db.manifest(model);
  const usable = known && known.packingVersion === PACKING_VERSION && known.layout === layout;
  const siblings = await db.manifestsOf(url);
  const manifest: Manifest = {
    model,
    url,
    state: 'downloading',
    order: 1 + Math.max(0, ...siblings.filter((other) => other.model !== model).map(({ order }) => order)),
    generation: usable ? known.generation : newName(host),
    packingVersion: PACKING_VERSION,
    layout,
    fileBytes: source.sizeBytes,
    version: source.version,
    ranges: source.ranges,
    header,
    headerSha256: hex(await host.sha256(header)),
    recordSha256s: new Uint8Array(0),
    rootSha256: '',
    nRecords: plans.length,
    totalBytes: plans.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    fileSha256: null,
  };
  await db.putManifest(manifest);
  return manifest;
}

async function downloadByRanges(
  download: Download,
  manifest: Manifest,
  missing: readonly RecordPlan[],
  hashes: Map<string, Uint8Array>,
): Promise<string | null> {
  const { host, db, source, plans, needed, signal } = download;
  const total = sumFileBytes(needed);
  const onBytes = counter(download, total, total - sumFileBytes(missing));
  for await (const records of fetchByRanges(source, missing, { signal, onBytes, rangeBytes: download.rangeBytes })) {
    await store(download, manifest, records, hashes);
  }
  if (download.sha256 === undefined) return null;

  const readRecord = async (plan: RecordPlan) => {
    const expected = hex(hashes.get(plan.key)!);
    const bytes = await db.record(manifest.model, plan.key);
    return bytes && hex(await host.sha256(bytes)) === expected ? bytes : replaced(download, manifest, plan, expected);
  };
  const report = (loaded: number) => download.onProgress?.({ phase: 'verify', loaded, total: source.sizeBytes });
  const found = await hashStored(source, plans, readRecord, { signal, onBytes: report });
  return checked(download, manifest, found, missing.length > 0);
}

/** A record that was damaged in the store, fetched again. */
async function replaced(
  { host, db, source, signal, onNotice }: Download,
  manifest: Manifest,
  plan: RecordPlan,
  expected: string,
): Promise<Uint8Array> {
  const bytes = await fetchRecord(source, plan, { signal });
  const sha256 = await host.sha256(bytes);
  if (hex(sha256) !== expected) throw recordCorrupt(manifest.model, plan.key);
  await db.putRecords(manifest, [{ key: plan.key, bytes, sha256 }], bytes.length);
  onNotice?.(refetched(plan.key));
  return bytes;
}

async function downloadStream(
  download: Download,
  manifest: Manifest,
  missing: readonly RecordPlan[],
  hashes: Map<string, Uint8Array>,
): Promise<string | null> {
  const { source, signal } = download;
  download.onNotice?.({ kind: 'no-ranges', message: `${source.name}: the server sends whole files only.` });
  if (missing.length === 0 && download.sha256 === undefined) return null;
  const hash = download.sha256 === undefined ? null : new Sha256();
  const onBytes = counter(download, source.sizeBytes, 0);
  const onPiece = hash ? (bytes: Uint8Array) => hash.update(bytes) : undefined;
  let batch: FetchedRecord[] = [];
  let batchBytes = 0;
  for await (const records of fetchFromStream(source, missing, { signal, onBytes, onPiece })) {
    batch.push(...records);
    batchBytes += records.reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (batchBytes < (download.rangeBytes ?? BATCH_BYTES)) continue;
    await store(download, manifest, batch, hashes);
    batch = [];
    batchBytes = 0;
  }
  if (batch.length > 0) await store(download, manifest, batch, hashes);
  return hash && checked(download, manifest, hex(hash.digest()), missing.length > 0);
}

async function store(
  { host, db, needed, signal }: Download,
  manifest: Manifest,
  records: readonly FetchedRecord[],
  hashes: Map<string, Uint8Array>,
): Promise<void> {
  throwIfAborted(signal);
  // Hashed before the transaction opens: one that waits for anything else commits by itself.
  const packed = await Promise.all(
    records.map(async ({ plan, bytes }) => ({ key: plan.key, bytes, sha256: await host.sha256(bytes) })),
  );
  const neededBytes = needed.reduce((sum, { key, sizeBytes }) => sum + (hashes.has(key) ? 0 : sizeBytes), 0);
  await db.putRecords(manifest, packed, neededBytes);
  for (const { key, sha256 } of packed) hashes.set(key, sha256);
}

/** A download that is not the file promised leaves nothing behind; a model that was there before is left alone. */
async function checked(
  { db, source, sha256 = '' }: Download,
  manifest: Manifest,
  found: string,
  downloadedNow: boolean,
): Promise<string> {
  try {
    checkFileSha256(source.name, sha256, found);
  } catch (error) {
    if (downloadedNow) await db.deleteModel(manifest.model);
    throw error;
  }
  return found;
}

/** Says that every record is stored, where each of `plans` has its hash. The manifest must be there still. */
export async function complete(
  host: Host,
  db: Database,
  manifest: Manifest,
  plans: readonly RecordPlan[],
  hashes: ReadonlyMap<string, Uint8Array>,
  fileSha256: string | null,
): Promise<Manifest> {
  const recordSha256s = new Uint8Array(32 * plans.length);
  plans.forEach(({ key }, i) => {
    recordSha256s.set(hashes.get(key)!, 32 * i);
  });
  const rootSha256 = hex(await host.sha256(recordSha256s));
  const done: Manifest = { ...manifest, state: 'complete', recordSha256s, rootSha256, fileSha256 };
  await db.replaceManifest(done);
  askToPersist(host);
  return done;
}

/**
 * Asks now that there is something worth keeping. Not awaited: Firefox asks the person, who may take a while. A refusal
 * changes nothing.
 */
function askToPersist(host: Host): void {
  host.storage?.persist().catch(() => false);
}

function counter({ host, onProgress }: Download, total: number, already: number): (nBytes: number) => void {
  let loaded = already;
  let reportedAt = host.clock.now();
  onProgress?.({ phase: 'download', loaded, total });
  return (nBytes) => {
    // Ranges may have a little between records that belongs to none.
    loaded = Math.min(total, loaded + nBytes);
    const now = host.clock.now();
    if (loaded < total && now - reportedAt < REPORT_MS) return;
    reportedAt = now;
    onProgress?.({ phase: 'download', loaded, total });
  };
}

function sumFileBytes(plans: readonly RecordPlan[]): number {
  return plans.reduce((sum, plan) => sum + fileBytes(plan), 0);
}
