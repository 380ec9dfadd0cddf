/** From what a person named to weights that can be read: out of the store, into it, or in place. */
import { NetError, RequestError, StoreError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { isStorageForbidden } from './connection.ts';
import { Database } from './database.ts';
import { type Download, downloadModel, modelId } from './download.ts';
import { LateSource } from './lateSource.ts';
import { downloadLock, modelLock, shareLock, withLock } from './locks.ts';
import { type HeaderReader, lookUp, lookUpPart, type Ready } from './lookUp.ts';
import { hex, type Manifest } from './manifest.ts';
import { removeOldModels, sweepStore } from './models.ts';
import type { StoreNotice, StoreProgress, StoreStep } from './notices.ts';
import type { RecordPlan } from './record.ts';
import { Sha256 } from './sha256.ts';
import type { ByteSource, ModelSource } from './source.ts';
import { type HttpOptions, isSplit, openSource, storedName } from './sources/index.ts';
import { DEMAND_PATIENCE_MS } from './sources/retry.ts';
import { storedWeights } from './storedWeights.ts';
import { checkFileSha256, hashSource } from './verifyFile.ts';
import { type LateOptions, localWeights, memoryWeights, type WeightSource } from './weights.ts';

export interface OpenWeightsOptions<G extends { readonly headerBytes: number }>
  extends HttpOptions,
    LateOptions,
    HeaderReader<G> {
  /** Of the whole file, in hex: checked before a record is handed out. */
  readonly sha256?: string;
  readonly onProgress?: (progress: StoreProgress) => void;
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
 * What may come `later` is not waited for.
 */
export async function openWeights<G extends { readonly headerBytes: number }>(
  host: Host,
  model: ModelSource,
  options: OpenWeightsOptions<G>,
): Promise<OpenedWeights<G>> {
  if (options.sha256 !== undefined && isSplit(host, model, options.hub)) throw noHashOfParts(model);
  const url = storedName(host, model, options.hub);
  if (url !== null && host.indexedDB) {
    try {
      return await openStored(host, host.indexedDB, model, url, options);
    } catch (error) {
      if (!isStorageForbidden(error)) throw error;
    }
  }
  const source = await openSource(host, model, options);
  try {
    return source.local ? await openLocal(source, options) : await openInMemory(host, source, options);
  } catch (error) {
    await source.close();
    throw error;
  }
}

function noHashOfParts(model: ModelSource): RequestError {
  const name = typeof model === 'string' || model instanceof URL ? String(model) : 'The model';
  return new RequestError('request/invalid', `${name} is of several files: no one SHA-256 is that of all of them.`, {
    remedy: 'Leave out `sha256`, or load a model of one file.',
  });
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
  host: Host,
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
    clock: host.clock,
    later: options.later,
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
  const notices: StoreNotice[] = [];
  const db = new Database(host, factory, (notice) => notices.push(notice));
  const finish = async (ready: Ready<G>, opened: ByteSource | null) => {
    const { manifest, header, plans } = ready;
    const release = await shareLock(host, modelLock(manifest.model));
    // The load's signal is over with the load: a record that is fetched later has its reader's.
    const { signal: _, ...later } = options;
    const reopen = { ...later, probeBytes: 1, patienceMs: DEMAND_PATIENCE_MS };
    const source = new LateSource(() => openSource(host, model, reopen), opened);
    if (ready.hashes.size === plans.length) await source.close();
    const weights = storedWeights({ ...later, ...ready, host, db, notices, source, release });
    return {
      header,
      plans,
      weights,
      name: url,
      fileBytes: manifest.fileBytes,
      from: opened ? 'network' : 'store',
    } as const;
  };
  try {
    const ready = await lookUpUsable(host, db, url, () => true, options);
    if (ready) return await finish(ready, null);
    await sweepStore(host, db);
    const { source, ...downloaded } = await download(host, db, url, model, notices, options);
    if (downloaded.manifest.state === 'complete') await removeOldModels(host, db, downloaded.manifest);
    return await finish(downloaded, source);
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Whether a file whose hash was found to be `known` (null: nobody asked yet) is the one that `wanted` names. */
function isFile(known: string | null, wanted: string | undefined): boolean {
  return wanted === undefined || known === wanted.toLowerCase();
}

/** A model that can be used as it is stored: one that is complete, or lacks only what may come later. */
async function lookUpUsable<G extends { readonly headerBytes: number }>(
  host: Host,
  db: Database,
  url: string,
  take: (manifest: Manifest) => boolean,
  options: OpenWeightsOptions<G>,
): Promise<Ready<G> | null> {
  const { sha256, later, storageBytes } = options;
  const isAsked = (manifest: Manifest) => take(manifest) && isFile(manifest.fileSha256, sha256);
  const whole = await lookUp(host, db, url, isAsked, options);
  if (whole || sha256 !== undefined || (!later && storageBytes === undefined)) return whole;
  return lookUpPart(host, db, url, take, options, (plans) => neededFirst(plans, options));
}

/** Records that are stored before the model is used: all that are not to come later, as far as there is room for them. */
function neededFirst(plans: readonly RecordPlan[], { later, storageBytes }: LateOptions): readonly RecordPlan[] {
  let leftBytes = storageBytes ?? Number.POSITIVE_INFINITY;
  return plans.filter((plan) => {
    if (later?.(plan) || plan.sizeBytes > leftBytes) return false;
    leftBytes -= plan.sizeBytes;
    return true;
  });
}

/** Resolves with the source open, for who has to fetch more from it. */
async function download<G extends { readonly headerBytes: number }>(
  host: Host,
  db: Database,
  url: string,
  model: ModelSource,
  notices: StoreNotice[],
  options: OpenWeightsOptions<G>,
): Promise<Ready<G> & { readonly source: ByteSource }> {
  const source = await openSource(host, model, options).catch(async (error: unknown) => {
    // Whole, but not known to be the file that `sha256` names: to check that, the network is needed.
    throw (await lookUp(host, db, url, () => true, options)) ? error : await evictedOr(db, url, error);
  });
  try {
    const header = await options.readHeader(source, options.signal);
    const plans = options.makePlans(header);
    const headerBytes = await source.read(0, header.headerBytes, options.signal);
    const { signal, sha256, rangeBytes } = options;
    const work: Download = {
      host,
      source,
      db,
      url,
      header: headerBytes,
      plans,
      needed: neededOf(source, plans, options),
      sha256,
      signal,
      onProgress: reporter(options, notices),
      onNotice: (notice) => notices.push(notice),
      rangeBytes,
    };
    const id = modelId(url, source);
    return await withLock(host, downloadLock(id), signal, async () => {
      // Another tab may have stored it while this one waited; or it was stored before, and its hash not asked for.
      const isThis = ({ model }: Manifest) => model === id;
      const usable = await lookUpUsable(host, db, url, isThis, options);
      if (usable) return { ...usable, source };
      const stored = (await lookUp(host, db, url, isThis, options))?.manifest;
      if (stored?.fileSha256 && sha256 !== undefined) checkFileSha256(source.name, sha256, stored.fileSha256);
      return { header, plans, source, ...(await downloadModel({ ...work, stored })) };
    });
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** What is downloaded before the model is used. A file that comes or is checked as a whole must fit as a whole. */
function neededOf(
  source: ByteSource,
  plans: readonly RecordPlan[],
  options: LateOptions & { readonly sha256?: string },
): readonly RecordPlan[] {
  if (source.ranges && options.sha256 === undefined) return neededFirst(plans, options);
  const neededBytes = plans.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const availableBytes = options.storageBytes ?? Number.POSITIVE_INFINITY;
  if (neededBytes <= availableBytes) return plans;
  throw new StoreError('store/quota', `${source.name} takes ${neededBytes} bytes; it may take ${availableBytes}.`, {
    remedy: 'Allow it more storage. In part a file is stored only from a server with ranges, and without `sha256`.',
    details: { neededBytes, availableBytes },
  });
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
