/**
 * Records from this origin's storage, and those that are not there yet from the network. Browsers hand out a damaged value without a
 * word, so each record is hashed at its first read of a session; one that is not what was stored is fetched again, and
 * never used.
 */
import { FloeError, StoreError, throwIfAborted } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { absentIfUnreachable } from './arrival.ts';
import { Arrivals, HELD_BYTES } from './arrivals.ts';
import { fetchInBackground } from './background.ts';
import { ByteAccount } from './byteAccount.ts';
import type { Database } from './database.ts';
import { DemandFirst } from './demandFirst.ts';
import { complete } from './download.ts';
import { fetchRecord } from './fetchRecords.ts';
import type { LateSource } from './lateSource.ts';
import { hex, type Manifest } from './manifest.ts';
import { removeOldModels } from './models.ts';
import { refetched, type StoreNotice } from './notices.ts';
import type { RecordPlan } from './record.ts';
import { sourceChanged } from './sources/request.ts';
import { DEMAND_PATIENCE_MS } from './sources/retry.ts';
import { recordCorrupt } from './verifyFile.ts';
import type { LateOptions, Urgency, WeightSource } from './weights.ts';
import { WriteQueue } from './writeQueue.ts';

export interface StoredOptions extends LateOptions {
  readonly host: Host;
  readonly db: Database;
  readonly manifest: Manifest;
  readonly plans: readonly RecordPlan[];
  /** SHA-256 of each record that is stored. Grows. */
  readonly hashes: Map<string, Uint8Array>;
  /** What was noticed so far. Grows. */
  readonly notices: StoreNotice[];
  /** For what is missing, or is found damaged. */
  readonly source: LateSource;
  /** Gives the model's lock back. */
  readonly release: () => void;
}

/** Opens what is stored of a model, and sets out to fetch what is not. */
export function storedWeights(options: StoredOptions): WeightSource {
  const weights = new StoredWeights(options);
  weights.start();
  return weights;
}

class StoredWeights implements WeightSource {
  readonly notices: StoreNotice[];
  readonly #options: StoredOptions;
  readonly #queue: WriteQueue;
  readonly #arrivals: Arrivals;
  readonly #verified = new Set<string>();
  readonly #reads = new DemandFirst();
  readonly #life = new AbortController();
  #isComplete: boolean;
  #background: Promise<void> = Promise.resolve();
  #completing: Promise<void> = Promise.resolve();

  constructor(options: StoredOptions) {
    const { host, db, manifest, plans, hashes, source, rangeBytes } = options;
    this.#options = options;
    this.notices = options.notices;
    this.#isComplete = manifest.state === 'complete' && hashes.size === plans.length;
    const account = new ByteAccount(HELD_BYTES);
    this.#queue = new WriteQueue({
      host,
      account,
      db,
      manifest,
      hashes,
      storedBytes: plans.reduce((sum, { key, sizeBytes }) => sum + (hashes.has(key) ? sizeBytes : 0), 0),
      storageBytes: options.storageBytes ?? Number.POSITIVE_INFINITY,
      onNotice: (notice) => this.notices.push(notice),
      onStored: () => this.#stored(),
    });
    this.#arrivals = new Arrivals({
      clock: host.clock,
      source: () => source.get(manifest),
      rangeBytes,
      account,
      keep: (plan, bytes) => this.#queue.add(plan, bytes),
    });
  }

  get storedBytes(): number {
    return this.#queue.storedBytes;
  }

  get fetchedBytes(): number {
    return this.#options.source.fetchedBytes;
  }

  start(): void {
    if (this.#isComplete) return;
    this.#tell();
    this.#background =
      this.#options.background === 'off' ? this.#completed() : this.#fetchInBackground().then(() => this.#completed());
    // What it fails of, beside the network, is a bug: whoever closes the weights hears of it.
    this.#background.catch(() => undefined);
  }

  get lastVisit(): Float32Array | undefined {
    return this.#options.manifest.visit;
  }

  readonly remember = async (visit: Float32Array): Promise<void> => {
    const { db, manifest } = this.#options;
    // A visit that can't be remembered makes the next one's first tokens slower, and nothing else.
    await db.remember(manifest, visit).catch(() => undefined);
  };

  readonly isNear = ({ key }: RecordPlan): boolean =>
    this.#options.hashes.has(key) || this.#queue.get(key) !== undefined;

  readonly sha256Of = ({ key }: RecordPlan): Uint8Array | undefined => this.#options.hashes.get(key);

  readonly read = async (plan: RecordPlan, signal?: AbortSignal, urgency: Urgency = 'demand'): Promise<Uint8Array> => {
    throwIfAborted(signal);
    if (this.isNear(plan)) return this.#readNear(plan, urgency, signal);
    const work = async () => {
      await this.#findStored([plan]);
      return this.isNear(plan) ? this.#readNear(plan, urgency, signal) : this.#fetchMissing(plan, urgency, signal);
    };
    return urgency === 'demand' ? this.#arrivals.demanding(work) : work();
  };

  readonly close = async (): Promise<void> => {
    const { release, db, source } = this.#options;
    this.#life.abort();
    this.#arrivals.close();
    await Promise.allSettled([this.#background, this.#queue.isIdle()]);
    await Promise.allSettled([this.#completing]);
    release();
    db.close();
    await source.close();
    await Promise.all([this.#background, this.#completing]);
  };

  async #readNear(plan: RecordPlan, urgency: Urgency, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const waiting = this.#queue.get(plan.key);
    if (waiting) return waiting;
    return this.#reads.run(urgency, signal, () => this.#readStored(plan, signal));
  }

  async #readStored(plan: RecordPlan, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { host, db, manifest, hashes } = this.#options;
    const bytes = await db.record(manifest.model, plan.key);
    const expected = hex(hashes.get(plan.key)!);
    const known = bytes?.length === plan.sizeBytes && this.#verified.has(plan.key);
    const good = known || (bytes && hex(await host.sha256(bytes)) === expected);
    const result = bytes && good ? bytes : await this.#refetch(plan, expected, signal);
    this.#verified.add(plan.key);
    return result;
  }

  async #fetchMissing(plan: RecordPlan, urgency: Urgency, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { manifest, later } = this.#options;
    try {
      return await this.#arrivals.fetch(plan, urgency, signal);
    } catch (error) {
      throw later?.(plan) ? absentIfUnreachable(manifest.url, plan, error) : error;
    }
  }

  /** A record that is damaged or gone, from the source again: the very one that was stored, or none. */
  async #refetch(plan: RecordPlan, expected: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { host, db, manifest, source } = this.#options;
    try {
      const opened = await source.get(manifest);
      const bytes = await fetchRecord(opened, plan, { signal, patienceMs: DEMAND_PATIENCE_MS });
      const sha256 = await host.sha256(bytes);
      if (hex(sha256) !== expected) throw sourceChanged(opened.name, expected, hex(sha256));
      await repair(db, manifest, { key: plan.key, bytes, sha256 });
      this.notices.push(refetched(plan.key));
      return bytes;
    } catch (error) {
      if (error instanceof FloeError && error.code === 'request/aborted') throw error;
      throw recordCorrupt(manifest.model, plan.key, error);
    }
  }

  async #fetchInBackground(): Promise<void> {
    const { host, manifest, plans, order } = this.#options;
    try {
      await fetchInBackground({
        host,
        model: manifest.model,
        plans,
        arrivals: this.#arrivals,
        queue: this.#queue,
        isStored: ({ key }) => this.#options.hashes.has(key),
        findStored: (some) => this.#findStored(some),
        order,
        signal: this.#life.signal,
      });
    } catch (error) {
      if (!this.#life.signal.aborted) throw error;
    }
  }

  /** Whether another tab has stored some of these meanwhile. */
  async #findStored(some: readonly RecordPlan[]): Promise<boolean> {
    const { db, manifest } = this.#options;
    const keys = some.map(({ key }) => key);
    const marks = await db.marksOf(manifest, keys).catch((error: unknown) => {
      // What a store that is blocked has can't be read either: it is fetched.
      if (error instanceof StoreError) return [];
      throw error;
    });
    const byKey = new Map(some.map((plan) => [plan.key, plan]));
    const found = marks.filter(({ key, sizeBytes }) => byKey.get(key)?.sizeBytes === sizeBytes);
    for (const { key, sha256 } of found) this.#queue.found(byKey.get(key)!, sha256);
    if (found.length > 0) this.#stored();
    return found.length > 0;
  }

  #stored(): void {
    this.#tell();
    this.#completing = this.#completed();
    this.#completing.catch(() => undefined);
  }

  #tell(): void {
    const { manifest, onBackground } = this.#options;
    onBackground?.({ storedBytes: this.storedBytes, totalBytes: manifest.totalBytes });
  }

  async #completed(): Promise<void> {
    const { host, db, manifest, plans, hashes } = this.#options;
    if (this.#isComplete || hashes.size < plans.length) return;
    this.#isComplete = true;
    try {
      await removeOldModels(host, db, await complete(host, db, manifest, plans, hashes, null));
    } catch (error) {
      // All records are here, and read as well without it; the next visit completes it.
      if (!(error instanceof FloeError)) throw error;
    }
  }
}

async function repair(
  db: Database,
  manifest: Manifest,
  record: { key: string; bytes: Uint8Array; sha256: Uint8Array },
): Promise<void> {
  try {
    await db.putRecords(manifest, [record], record.bytes.length);
  } catch (error) {
    // The bytes are right and can be used. What could not be stored again is fetched again the next time.
    if (!(error instanceof StoreError)) throw error;
  }
}
