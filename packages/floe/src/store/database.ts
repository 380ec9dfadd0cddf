/**
 * Models in IndexedDB.
 *  1. A record and its mark are written in one transaction, while the manifest has their generation, or not at all.
 *  2. A manifest is 'complete' only after each record's transaction was.
 *  3. What has no manifest of its generation is swept, never used.
 */
import { FloeError, StoreError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { Connection, errorName, type Transaction } from './connection.ts';
import type { Manifest, Mark, PackedRecord } from './manifest.ts';

export class Database {
  readonly #host: Host;
  readonly #connection: Connection;

  constructor(host: Host, factory: IDBFactory) {
    this.#host = host;
    this.#connection = new Connection(host, factory);
  }

  manifest(model: string): Promise<Manifest | undefined> {
    return this.#connection.run('readonly', 'relaxed', (tx) => tx.objectStore('manifests').get(model));
  }

  manifests(): Promise<Manifest[]> {
    return this.#connection.run('readonly', 'relaxed', (tx) => tx.objectStore('manifests').getAll());
  }

  manifestsOf(url: string): Promise<Manifest[]> {
    return this.#connection.run('readonly', 'relaxed', (tx) => tx.objectStore('manifests').index('url').getAll(url));
  }

  putManifest(manifest: Manifest): Promise<void> {
    return this.#write('strict', manifest.header.length, async (tx) => {
      await tx.objectStore('manifests').put(manifest);
    });
  }

  /**
   * Replaces a manifest by what became of it.
   * @throws {StoreError} `store/evicted` when it is gone or has another generation.
   */
  replaceManifest(manifest: Manifest): Promise<void> {
    return this.#write('strict', manifest.header.length, async (tx) => {
      await checkGeneration(tx, manifest);
      await tx.objectStore('manifests').put(manifest);
    });
  }

  /** Notes in a manifest what a visit leaves to the next, unless the manifest is another's by now. */
  remember({ model, generation }: Manifest, visit: Float32Array): Promise<void> {
    return this.#write('relaxed', visit.byteLength, async (tx) => {
      const current = await tx.objectStore('manifests').get(model);
      if (current?.generation === generation) await tx.objectStore('manifests').put({ ...current, visit });
    });
  }

  /** The marks of `generation`; no record is read. */
  async marks(model: string, generation: string): Promise<Mark[]> {
    const all = await this.#connection.run('readonly', 'relaxed', (tx) =>
      tx.objectStore('marks').index('model').getAll(model),
    );
    return all.filter((mark) => mark.generation === generation);
  }

  /** Those of the marks that there are, for a few keys: what another tab has stored meanwhile. */
  async marksOf({ model, generation }: Manifest, keys: readonly string[]): Promise<Mark[]> {
    const found = await this.#connection.run('readonly', 'relaxed', (tx) =>
      Promise.all(keys.map((key) => tx.objectStore('marks').get([model, key]))),
    );
    return found.filter((mark) => mark !== undefined && mark.generation === generation) as Mark[];
  }

  /**
   * Stores records together.
   * @param neededBytes  What the whole download still needs, for the message should the quota end here.
   * @throws {StoreError} `store/evicted` when the manifest is gone or has another generation.
   */
  putRecords(manifest: Manifest, records: readonly PackedRecord[], neededBytes: number): Promise<void> {
    const { model, generation } = manifest;
    return this.#write('relaxed', neededBytes, async (tx) => {
      await checkGeneration(tx, manifest);
      await Promise.all(
        records.flatMap(({ key, bytes, sha256 }) => [
          tx.objectStore('records').put(bytes, [model, key]),
          tx.objectStore('marks').put({ model, key, generation, sizeBytes: bytes.length, sha256 }),
        ]),
      );
    });
  }

  /** A record's bytes as they are on the disk, unchecked; null where there are none or they can't be read. */
  async record(model: string, key: string): Promise<Uint8Array | null> {
    try {
      const bytes = await this.#connection.run('readonly', 'relaxed', (tx) =>
        tx.objectStore('records').get([model, key]),
      );
      return bytes ?? null;
    } catch (error) {
      // A value whose file is damaged fails by itself while the database is well; a dead database fails elsewhere too.
      if (errorName(error) === 'NotReadableError' || errorName(error) === 'DataError') return null;
      if (error instanceof StoreError && errorName(error.cause) === 'UnknownError' && (await this.#answers()))
        return null;
      throw error;
    }
  }

  /** Removes a model and all its records, of each generation. */
  deleteModel(model: string): Promise<void> {
    return this.#write('strict', 0, async (tx) => {
      const keys = await tx.objectStore('marks').index('model').getAllKeys(model);
      await Promise.all([tx.objectStore('manifests').delete(model), ...deletions(tx, keys)]);
    });
  }

  /**
   * Removes records that no manifest of their generation stands for, and tells how many. One transaction looks and
   * deletes, so that nothing stored meanwhile by another tab is taken for an orphan.
   */
  async sweep(): Promise<number> {
    let nSwept = 0;
    await this.#write('relaxed', 0, async (tx) => {
      const [manifests, marks, keys] = await Promise.all([
        tx.objectStore('manifests').getAll(),
        tx.objectStore('marks').getAll(),
        tx.objectStore('records').getAllKeys(),
      ]);
      const generations = new Map(manifests.map(({ model, generation }) => [model, generation]));
      const orphans = new Map(keys.map((key) => [key.join('\n'), key]));
      for (const { model, key, generation } of marks) {
        if (generations.get(model) === generation) orphans.delete(`${model}\n${key}`);
        else orphans.set(`${model}\n${key}`, [model, key]);
      }
      nSwept = orphans.size;
      await Promise.all(deletions(tx, [...orphans.values()]));
    });
    return nSwept;
  }

  close(): void {
    this.#connection.close();
  }

  async #answers(): Promise<boolean> {
    try {
      await this.manifests();
      return true;
    } catch {
      return false;
    }
  }

  async #write(
    durability: 'strict' | 'relaxed',
    neededBytes: number,
    work: (tx: Transaction<'readwrite'>) => Promise<void>,
  ) {
    try {
      await this.#connection.run('readwrite', durability, work);
    } catch (error) {
      if (error instanceof FloeError || errorName(error) !== 'QuotaExceededError') throw error;
      throw await this.#quotaError(neededBytes, error);
    }
  }

  async #quotaError(neededBytes: number, cause: unknown): Promise<StoreError> {
    const estimate = await this.#host.storage?.estimate().catch(() => null);
    const availableBytes = estimate ? Math.max(0, estimate.quotaBytes - estimate.usageBytes) : null;
    const available = availableBytes === null ? '' : `; the browser speaks of ${mib(availableBytes)} free`;
    return new StoreError(
      'store/quota',
      `This origin's storage is full: ${mib(neededBytes)} more are needed${available}.`,
      {
        remedy:
          'Free disk space or delete another model. What is stored so far stays, and the next try goes on from it.',
        retryable: true,
        details: { neededBytes, availableBytes },
        cause,
      },
    );
  }
}

/** The fence: within the transaction that writes, the manifest must be the one that the writer knows. */
async function checkGeneration(tx: Transaction<'readwrite'>, { model, generation }: Manifest): Promise<void> {
  const current = await tx.objectStore('manifests').get(model);
  if (current?.generation === generation) return;
  tx.abort();
  throw superseded(model);
}

function deletions(tx: Transaction<'readwrite'>, keys: readonly [string, string][]): Promise<void>[] {
  return keys.flatMap((key) => [tx.objectStore('records').delete(key), tx.objectStore('marks').delete(key)]);
}

function superseded(model: string): StoreError {
  return new StoreError('store/evicted', `${model} was deleted, or is being downloaded anew elsewhere.`, {
    remedy: 'Load the model again.',
    retryable: true,
    details: { model },
  });
}

function mib(nBytes: number): string {
  return `${(nBytes / 2 ** 20).toFixed(1)} MiB`;
}
