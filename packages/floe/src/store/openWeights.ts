/** From what a person named to weights that can be read: out of the store, into it, or in place. */
import { NetError, StoreError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { isStorageForbidden } from './connection.ts';
import { Database } from './database.ts';
import { type Download, downloadModel, modelId } from './download.ts';
import { downloadLock, modelLock, shareLock, withLock } from './locks.ts';
import { hex, layoutBytes, type Manifest } from './manifest.ts';
import { removeOldModels, sweepStore } from './models.ts';
import type { StoreNotice, StoreProgress, StoreStep } from './notices.ts';
import { PACKING_VERSION } from './pack.ts';
import type { RecordPlan } from './record.ts';
import { Sha256 } from './sha256.ts';
import { type ByteSource, checkRange, type ModelSource } from './source.ts';
import { type HttpOptions, openSource, storedName } from './sources/index.ts';
import { checkFileSha256, hashSource } from './verifyFile.ts';
import { localWeights, memoryWeights, storedWeights, type WeightSource } from './weights.ts';

export interface OpenWeightsOptions<G extends { readonly headerBytes: number }> extends HttpOptions {
  /** `readGguf`, which reads the file's beginning and nothing else. */
  readonly readHeader: (source: ByteSource, signal?: AbortSignal) => Promise<G>;
  /** Which records the model has; the same header gives the same plans. */
  readonly makePlans: (header: G) => readonly RecordPlan[];
  /** Of the whole file, in hex: checked before a record is handed out. */
  readonly sha256?: string;
  readonly onProgress?: (progress: StoreProgress) => void;
  /** The most that one request asks for; 8 MiB by itself. */
  readonly rangeBytes?: number;
  /**
   * Records that need not be here when `openWeights` returns: they are fetched when they are read, and in the
   * background. Without effect where all of the file must come first: `sha256` is given, or the server has no ranges.
   */
  readonly later?: (plan: RecordPlan) => boolean;
  /** 'off': what comes later is fetched only when it is read. 'on' by itself. */
  readonly background?: 'on' | 'off';
  /** Which of the missing records the background fetches next: one of those given. By itself the first. */
  readonly order?: (missing: readonly RecordPlan[]) => RecordPlan | undefined;
  /** The most that this model may take in storage. Records beyond are fetched each time they are read. */
  readonly storageBytes?: number;
  /** Hears when records that come later were stored, by whomever they were asked for. */
  readonly onBackground?: (progress: BackgroundProgress) => void;
}

/** How much of a model's records is stored. */
export interface BackgroundProgress {
  readonly storedBytes: number;
  readonly totalBytes: number;
}

export interface OpenedWeights<G> {
  readonly header: G;
  readonly plans: readonly RecordPlan[];
  readonly weights: WeightSource;
  /** What to call the file. */
  readonly name: string;
  readonly fileBytes: number;
  readonly from: 'network' | 'store' | 'local';
}

/**
 * Opens a model's weights. A URL that was downloaded before is opened without a request, network or none. Else it is
 * downloaded into this origin's storage, or, where there is none (Node), read into memory. Files are read in place.
 */
export async function openWeights<G extends { readonly headerBytes: number }>(
  host: Host,
  model: ModelSource,
  options: OpenWeightsOptions<G>,
): Promise<OpenedWeights<G>> {
  const url = storedName(host, model);
  if (url !== null && host.indexedDB) {
    try {
      return await openStored(host, host.indexedDB, model, url, options);
    } catch (error) {
      if (!isStorageForbidden(error)) throw error;
    }
  }
  const source = await openSource(host, model, options);
  try {
    return source.local ? await openLocal(source, options) : await openInMemory(source, options);
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function openLocal<G extends { readonly headerBytes: number }>(
  source: ByteSource,
  options: OpenWeightsOptions<G>,
): Promise<OpenedWeights<G>> {
  const header = await options.readHeader(source, options.signal);
  if (options.sha256 !== undefined) await checkWhole(source, options.sha256, reporter(options, []), options.signal);
  const plans = options.makePlans(header);
  return {
    header,
    plans,
    weights: localWeights(source),
    name: source.name,
    fileBytes: source.sizeBytes,
    from: 'local',
  };
}

async function openInMemory<G extends { readonly headerBytes: number }>(
  source: ByteSource,
  options: OpenWeightsOptions<G>,
): Promise<OpenedWeights<G>> {
  const header = await options.readHeader(source, options.signal);
  const plans = options.makePlans(header);
  const notices: StoreNotice[] = [
    { kind: 'not-stored', message: `${source.name} is not kept: there is no storage here. It is fetched each time.` },
  ];
  if (!source.ranges)
    notices.push({ kind: 'no-ranges', message: `${source.name}: the server sends whole files only.` });
  const onProgress = reporter(options, notices);
  onProgress({ phase: 'download', loaded: 0, total: source.sizeBytes });
  const hash = options.sha256 !== undefined && !source.ranges ? new Sha256() : null;
  if (options.sha256 !== undefined && !hash) await checkWhole(source, options.sha256, onProgress, options.signal);
  let loaded = 0;
  const weights = await memoryWeights(source, plans, {
    signal: options.signal,
    notices,
    onBytes: (nBytes) => {
      loaded += nBytes;
      onProgress({ phase: 'download', loaded, total: source.sizeBytes });
    },
    ...(hash ? { onPiece: (bytes: Uint8Array) => hash.update(bytes) } : {}),
  });
  if (hash && options.sha256 !== undefined) checkFileSha256(source.name, options.sha256, hex(hash.digest()));
  return { header, plans, weights, name: source.name, fileBytes: source.sizeBytes, from: 'network' };
}

/** Each step with what was noticed by then. */
function reporter(
  { onProgress }: { readonly onProgress?: (progress: StoreProgress) => void },
  notices: readonly StoreNotice[],
): (step: StoreStep) => void {
  return (step) => onProgress?.({ ...step, notices: [...notices] });
}

async function checkWhole(
  source: ByteSource,
  sha256: string,
  onProgress: (step: StoreStep) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const onBytes = (loaded: number) => onProgress({ phase: 'verify', loaded, total: source.sizeBytes });
  checkFileSha256(source.name, sha256, await hashSource(source, { signal, onBytes }));
}

async function openStored<G extends { readonly headerBytes: number }>(
  host: Host,
  factory: IDBFactory,
  model: ModelSource,
  url: string,
  options: OpenWeightsOptions<G>,
): Promise<OpenedWeights<G>> {
  const db = new Database(host, factory);
  const reopen = () => openSource(host, model, options);
  const finish = async (ready: Ready<G>, from: 'network' | 'store', notices: readonly StoreNotice[]) => {
    const { manifest, header, plans } = ready;
    const release = await shareLock(host, modelLock(manifest.model));
    // The load's signal is over with the load: a record that is fetched again later has its reader's.
    const { signal: _, ...later } = options;
    const openAgain = () => openSource(host, model, later);
    const weights = storedWeights({
      host,
      db,
      manifest,
      plans,
      notices,
      fetchedBytes: ready.fetchedBytes,
      openSource: openAgain,
      release,
    });
    return { header, plans, weights, name: url, fileBytes: manifest.fileBytes, from };
  };
  try {
    const isAsked = ({ fileSha256 }: Manifest) => isFile(fileSha256, options.sha256);
    const ready = await lookUp(host, db, url, isAsked, options);
    if (ready) return await finish(ready, 'store', []);
    await sweepStore(host, db);
    const notices: StoreNotice[] = [];
    const downloaded = await download(host, db, url, reopen, notices, options);
    await removeOldModels(host, db, downloaded.manifest);
    return await finish(downloaded, 'network', notices);
  } catch (error) {
    db.close();
    throw error;
  }
}

interface Ready<G> {
  readonly manifest: Manifest;
  readonly header: G;
  readonly plans: readonly RecordPlan[];
  readonly fetchedBytes: number;
}

/** Whether a file whose hash was found to be `known` (null: nobody asked yet) is the one that `wanted` names. */
function isFile(known: string | null, wanted: string | undefined): boolean {
  return wanted === undefined || known === wanted.toLowerCase();
}

/** The newest complete model of `url`, among those taken, whose every record is marked as stored; no record is read. */
async function lookUp<G extends { readonly headerBytes: number }>(
  host: Host,
  db: Database,
  url: string,
  take: (manifest: Manifest) => boolean,
  options: OpenWeightsOptions<G>,
): Promise<Ready<G> | null> {
  const newestFirst = (await db.manifestsOf(url)).sort((a, b) => b.order - a.order);
  for (const manifest of newestFirst) {
    if (manifest.state !== 'complete' || manifest.packingVersion !== PACKING_VERSION) continue;
    if (!take(manifest)) continue;
    if (hex(await host.sha256(manifest.header)) !== manifest.headerSha256) continue;
    if (hex(await host.sha256(manifest.recordSha256s)) !== manifest.rootSha256) continue;
    const header = await options.readHeader(headerSource(manifest), options.signal);
    const plans = options.makePlans(header);
    if (hex(await host.sha256(layoutBytes(plans))) !== manifest.layout) continue;
    const marks = await db.marks(manifest.model, manifest.generation);
    if (marks.length === manifest.nRecords) return { manifest, header, plans, fetchedBytes: 0 };
  }
  return null;
}

/** The stored beginning of a file, standing for the whole. */
function headerSource({ url, fileBytes, version, header }: Manifest): ByteSource {
  const source: ByteSource = {
    name: url,
    sizeBytes: fileBytes,
    version,
    local: true,
    ranges: true,
    fetchedBytes: 0,
    read: async (offset, length) => {
      checkRange(source, offset, length);
      // A reader may take more than it needs; behind the header there is nothing it looks at.
      const bytes = new Uint8Array(length);
      bytes.set(header.subarray(Math.min(offset, header.length), Math.min(offset + length, header.length)));
      return bytes;
    },
    close: async () => undefined,
  };
  return source;
}

async function download<G extends { readonly headerBytes: number }>(
  host: Host,
  db: Database,
  url: string,
  reopen: () => Promise<ByteSource>,
  notices: StoreNotice[],
  options: OpenWeightsOptions<G>,
): Promise<Ready<G>> {
  const source = await reopen().catch(async (error: unknown) => {
    // Whole, but not known to be the file that `sha256` names: to check that, the network is needed.
    throw (await lookUp(host, db, url, () => true, options)) ? error : await evictedOr(db, url, error);
  });
  try {
    const header = await options.readHeader(source, options.signal);
    const plans = options.makePlans(header);
    const headerBytes = await source.read(0, header.headerBytes, options.signal);
    const { signal, sha256, rangeBytes } = options;
    const onProgress = reporter(options, notices);
    const onNotice = (notice: StoreNotice) => notices.push(notice);
    const work: Download = {
      host,
      source,
      db,
      url,
      header: headerBytes,
      plans,
      sha256,
      signal,
      onProgress,
      onNotice,
      rangeBytes,
    };
    const id = modelId(url, source);
    return await withLock(host, downloadLock(id), signal, async () => {
      // Another tab may have stored it while this one waited; or it was stored before, and its hash not asked for.
      const ready = await lookUp(host, db, url, ({ model }) => model === id, options);
      const stored = ready?.manifest;
      if (ready && isFile(ready.manifest.fileSha256, sha256)) return ready;
      if (stored?.fileSha256 && sha256 !== undefined) checkFileSha256(source.name, sha256, stored.fileSha256);
      const manifest = await downloadModel({ ...work, stored });
      return { manifest, header, plans, fetchedBytes: source.fetchedBytes };
    });
  } finally {
    await source.close();
  }
}

/** A model that was complete and has lost records, with no network to get them: that is no network problem alone. */
async function evictedOr(db: Database, url: string, error: unknown): Promise<unknown> {
  if (!(error instanceof NetError) || !(await db.manifestsOf(url)).some(({ state }) => state === 'complete'))
    return error;
  return new StoreError('store/evicted', `${url} was stored and no longer is as it was, and can't be fetched now.`, {
    remedy: 'Go online and load the model again: what is missing is downloaded.',
    retryable: true,
    details: { url },
    cause: error,
  });
}
