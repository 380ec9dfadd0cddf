/** Records for whoever loads them, wherever they lie. */
import { FloeError, StoreError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import type { Database } from './database.ts';
import { modelId } from './download.ts';
import { fetchFromStream, fetchRecord } from './fetchRecords.ts';
import { hex, type Manifest } from './manifest.ts';
import { refetched, type StoreNotice } from './notices.ts';
import { packRecord } from './pack.ts';
import type { RecordPlan } from './record.ts';
import type { ByteSource } from './source.ts';
import { sourceChanged } from './sources/request.ts';
import { recordCorrupt } from './verifyFile.ts';

/** What an answer waits for, or a guess at what it will ask for next, which never delays the first. */
export type Urgency = 'demand' | 'ahead';

/** The one interface by which a model reads its weights. */
export interface WeightSource {
  /**
   * The packed record, `plan.sizeBytes` long; the caller's to keep. `urgency` is 'demand' by itself.
   * @throws {StoreError} `store/corrupt`: it was stored, is damaged, and can't be fetched again now.
   */
  readonly read: (plan: RecordPlan, signal?: AbortSignal, urgency?: Urgency) => Promise<Uint8Array>;
  /** Whether the record lies in storage, in memory or in a local file: reading it needs no network. */
  readonly isNear: (plan: RecordPlan) => boolean;
  /** Bytes of the file that came over the network since it was opened, header included. Grows. */
  readonly fetchedBytes: number;
  /** Of this model in the origin's storage; 0 where it is read in place. Grows while records arrive. */
  readonly storedBytes: number;
  /** Grows while records are read. */
  readonly notices: readonly StoreNotice[];
  readonly close: () => Promise<void>;
}

export interface StoredOptions {
  readonly host: Host;
  readonly db: Database;
  readonly manifest: Manifest;
  readonly plans: readonly RecordPlan[];
  readonly notices: readonly StoreNotice[];
  /** Of the download just done; 0 where there was none. */
  readonly fetchedBytes: number;
  /** Opens the source again, to replace a damaged record. */
  readonly openSource: () => Promise<ByteSource>;
  /** Gives the model's lock back. */
  readonly release: () => void;
}

/**
 * Records from IndexedDB. Browsers hand out a damaged value without a word, so each record is hashed at its first
 * read of a session; one that is not what was stored is fetched again, and never used.
 */
export function storedWeights(options: StoredOptions): WeightSource {
  const { host, db, manifest, plans } = options;
  const notices = [...options.notices];
  const fetchedBefore = options.fetchedBytes;
  let reopened: ByteSource | null = null;
  const expected = new Map(plans.map(({ key }, i) => [key, hex(manifest.recordSha256s.subarray(32 * i, 32 * i + 32))]));
  const verified = new Set<string>();
  let source: Promise<ByteSource> | null = null;

  const openedSource = async () => {
    source ??= options.openSource();
    try {
      reopened = await source;
      return reopened;
    } catch (error) {
      source = null;
      throw error;
    }
  };
  const refetch = async (plan: RecordPlan, signal: AbortSignal | undefined): Promise<Uint8Array> => {
    try {
      const opened = await openedSource();
      const found = modelId(manifest.url, opened);
      if (found !== manifest.model) throw sourceChanged(opened.name, manifest.model, found);
      const bytes = await fetchRecord(opened, plan, signal);
      const sha256 = await host.sha256(bytes);
      if (hex(sha256) !== expected.get(plan.key))
        throw sourceChanged(opened.name, expected.get(plan.key)!, hex(sha256));
      await repair(db, manifest, { key: plan.key, bytes, sha256 });
      notices.push(refetched(plan.key));
      return bytes;
    } catch (error) {
      if (error instanceof FloeError && error.code === 'request/aborted') throw error;
      throw recordCorrupt(manifest.model, plan.key, error);
    }
  };
  return {
    storedBytes: manifest.totalBytes,
    get fetchedBytes() {
      return fetchedBefore + (reopened?.fetchedBytes ?? 0);
    },
    isNear: () => true,
    notices,
    read: async (plan, signal) => {
      const bytes = await db.record(manifest.model, plan.key);
      const known = bytes?.length === plan.sizeBytes && verified.has(plan.key);
      const good = known || (bytes && hex(await host.sha256(bytes)) === expected.get(plan.key));
      const result = bytes && good ? bytes : await refetch(plan, signal);
      verified.add(plan.key);
      return result;
    },
    close: async () => {
      options.release();
      db.close();
      await source?.then(
        (opened) => opened.close(),
        () => undefined, // It never opened.
      );
    },
  };
}

async function repair(
  db: Database,
  manifest: Manifest,
  record: { key: string; bytes: Uint8Array; sha256: Uint8Array },
) {
  try {
    await db.putRecords(manifest, [record], record.bytes.length);
  } catch (error) {
    // The bytes are right and can be used. What could not be stored again is fetched again the next time.
    if (!(error instanceof StoreError)) throw error;
  }
}

/** Records packed as they are read, from a source that is as near as the store would be. */
export function localWeights(source: ByteSource): WeightSource {
  return {
    storedBytes: 0,
    fetchedBytes: 0,
    isNear: () => true,
    notices: [],
    read: (plan, signal) => packRecord(plan, (offset, length) => source.read(offset, length, signal)),
    close: () => source.close(),
  };
}

/** Norms and the like, one of which is read twice: not worth a second request, let alone a second pass over a stream. */
const SMALL_BYTES = 1 << 20;

/**
 * Records of a remote source where nothing can be stored. By ranges each is fetched when it is read. A stream is one
 * pass over the file, so all of it is held then; a record is let go as it is handed out, for the GPU has it from there.
 * One that is read again is fetched again.
 */
export async function memoryWeights(
  source: ByteSource,
  plans: readonly RecordPlan[],
  options: {
    readonly signal?: AbortSignal | undefined;
    readonly notices: readonly StoreNotice[];
    readonly onBytes?: (n: number) => void;
    readonly onPiece?: (bytes: Uint8Array) => void;
  },
): Promise<WeightSource> {
  const held = new Map<string, Uint8Array>();
  if (!source.ranges) {
    const { signal, onBytes, onPiece } = options;
    for await (const records of fetchFromStream(source, plans, { signal, onBytes, onPiece })) {
      for (const { plan, bytes } of records) held.set(plan.key, bytes);
    }
  }
  return {
    storedBytes: 0,
    get fetchedBytes() {
      return source.fetchedBytes;
    },
    isNear: ({ key }) => held.has(key),
    notices: options.notices,
    read: async (plan, signal) => {
      const known = held.get(plan.key);
      if (!known) return fetchRecord(source, plan, signal);
      // A copy: what is handed out may be transferred away.
      if (known.length <= SMALL_BYTES) return known.slice();
      held.delete(plan.key);
      return known;
    },
    close: async () => {
      held.clear();
      await source.close();
    },
  };
}
