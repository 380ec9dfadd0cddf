/** A connection to IndexedDB that comes back: browsers drop one in the background, or when site data is cleared. */
import { type DBSchema, type IDBPDatabase, type IDBPTransaction, type StoreNames, wrap } from 'idb';
import { FloeError, StoreError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';

const BLOCKED_MS = 5_000;
/** A handle that failed is never used again; three fresh ones are the limit (a broken backing store stays broken). */
const TRIES = 3;
const REOPEN_PAUSE_MS = 200;
/** About this transaction's data, not about the connection: thrown on as they are, for `Database` to name. */
const CALLERS_ERRORS = ['QuotaExceededError', 'NotReadableError', 'DataError'];
/** Another handle may do better. */
const LOSS_ERRORS = ['InvalidStateError', 'UnknownError', 'AbortError'];

export type Mode = 'readonly' | 'readwrite';
export type Transaction<S extends DBSchema, M extends Mode> = IDBPTransaction<S, StoreNames<S>[], M>;

/** A database by its name. */
export interface DatabaseLayout<S extends DBSchema> {
  readonly name: string;
  readonly version: number;
  readonly stores: readonly StoreNames<S>[];
  /** Makes the stores, where there are none of this version. */
  readonly upgrade: (db: IDBDatabase) => void;
}

export class Connection<S extends DBSchema> {
  readonly #host: Host;
  readonly #factory: IDBFactory;
  readonly #layout: DatabaseLayout<S>;
  #db: Promise<IDBPDatabase<S>> | null = null;

  constructor(host: Host, factory: IDBFactory, layout: DatabaseLayout<S>) {
    this.#host = host;
    this.#factory = factory;
    this.#layout = layout;
  }

  /**
   * Runs `work` in one transaction and resolves when that is complete: a request's success alone is no promise.
   * `work` awaits nothing but the transaction's own requests, and may run again on a fresh connection.
   *
   * @throws {StoreError} `store/blocked`, with the platform's error as its cause.
   * @throws {DOMException} one of `CALLERS_ERRORS`.
   */
  async run<M extends Mode, T>(
    mode: M,
    durability: 'strict' | 'relaxed',
    work: (tx: Transaction<S, M>) => Promise<T>,
  ): Promise<T> {
    for (let failures = 0; ; ) {
      const opening = this.#open();
      try {
        const db = await opening;
        const tx = db.transaction([...this.#layout.stores], mode, { durability });
        return await finished(tx, work);
      } catch (error) {
        if (error instanceof FloeError || CALLERS_ERRORS.includes(errorName(error))) throw error;
        this.#drop(opening);
        if (!LOSS_ERRORS.includes(errorName(error))) throw unusable(error);
        if (++failures >= TRIES) throw unusable(error);
        await this.#host.clock.sleep(REOPEN_PAUSE_MS * failures);
      }
    }
  }

  close(): void {
    const opening = this.#db;
    if (opening) this.#drop(opening);
  }

  #open(): Promise<IDBPDatabase<S>> {
    this.#db ??= this.#connect();
    return this.#db;
  }

  #drop(opening: Promise<IDBPDatabase<S>>): void {
    if (this.#db === opening) this.#db = null;
    opening.then(
      (db) => db.close(),
      () => undefined, // It never opened.
    );
  }

  async #connect(): Promise<IDBPDatabase<S>> {
    const request = this.#factory.open(this.#layout.name, this.#layout.version);
    request.addEventListener('upgradeneeded', () => this.#layout.upgrade(request.result));
    const settled = new AbortController();
    const blocked = this.#host.clock.sleep(BLOCKED_MS, settled.signal).then(() => {
      throw blockedError();
    });
    blocked.catch(() => undefined);
    const opened = wrap(request) as Promise<unknown> as Promise<IDBPDatabase<S>>;
    try {
      const db = await Promise.race([opened, blocked]);
      // Another tab has a newer Floe and waits to upgrade: make way, and open again at the next call.
      db.addEventListener('versionchange', () => this.close());
      db.addEventListener('close', () => this.close());
      return db;
    } catch (error) {
      // Should it open after all, nobody would close it.
      opened.then(
        (db) => db.close(),
        () => undefined,
      );
      throw error;
    } finally {
      settled.abort();
    }
  }
}

async function finished<S extends DBSchema, M extends Mode, T>(
  tx: Transaction<S, M>,
  work: (tx: Transaction<S, M>) => Promise<T>,
): Promise<T> {
  const done = tx.done;
  // When `work` throws, `done` rejects too: one of them is enough.
  done.catch(() => undefined);
  try {
    const result = await work(tx);
    await done;
    return result;
  } catch (error) {
    // The transaction's own reason says more than the request that went down with it.
    if (tx.error) throw tx.error;
    throw error;
  }
}

/** What the platform's errors are called; a DOMException is no `Error` in every realm. */
export function errorName(error: unknown): string {
  return typeof error === 'object' && error !== null && 'name' in error ? String(error.name) : '';
}

function unusable(cause: unknown): StoreError {
  return new StoreError('store/blocked', `This origin's storage can't be opened (${errorName(cause)}).`, {
    remedy:
      'Close other tabs of this site and reload. If it stays so, clear the site data: models are downloaded again.',
    retryable: true,
    cause,
  });
}

function blockedError(): StoreError {
  return new StoreError('store/blocked', `Another tab held this origin's storage for ${BLOCKED_MS / 1000} s.`, {
    remedy: 'Close the other tabs of this site, or reload them.',
    retryable: true,
  });
}

/** Site data switched off, or a frame that may have none: as good as no storage. */
export function isStorageForbidden(error: unknown): boolean {
  return error instanceof StoreError && errorName(error.cause) === 'SecurityError';
}
