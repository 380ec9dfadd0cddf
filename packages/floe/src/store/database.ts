/**
 * Models in this origin's storage: manifests and marks in IndexedDB, records there or, if large, in files.
 *  1. A record and its mark are written in one transaction, while the manifest has their generation, or not at all; one
 *     that is a file is whole before its mark is written, and removed if that is not.
 *  2. A manifest is 'complete' only after each record's transaction was.
 *  3. What has no manifest of its generation is swept, never used.
 */
import { StoreError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { Connection, type DatabaseLayout, errorName, type Transaction as TransactionOf } from './connection.ts';
import { FILES_LOCK, ifFree, sharing } from './locks.ts';
import type { Manifest, Mark, PackedRecord, StoreSchema } from './manifest.ts';
import type { StoreNotice } from './notices.ts';
import { withinQuota } from './quota.ts';
import { RecordFiles } from './recordFiles.ts';

type Transaction<M extends 'readonly' | 'readwrite'> = TransactionOf<StoreSchema, M>;

const LAYOUT: DatabaseLayout<StoreSchema> = {
  name: 'floe',
  version: 1,
  stores: ['manifests', 'marks', 'records'],
  upgrade: (db) => {
    db.createObjectStore('manifests', { keyPath: 'model' }).createIndex('url', 'url');
    db.createObjectStore('marks', { keyPath: ['model', 'key'] }).createIndex('model', 'model');
    db.createObjectStore('records');
  },
};

export class Database {
  readonly #host: Host;
  readonly #connection: Connection<StoreSchema>;
  readonly #files: RecordFiles;

  /** `onNotice` hears if records can't be files here, though the browser has them. */
  constructor(host: Host, factory: IDBFactory, onNotice: (notice: StoreNotice) => void = () => undefined) {
    this.#host = host;
    this.#connection = new Connection(host, factory, LAYOUT);
    this.#files = new RecordFiles(host, onNotice);
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
    const { generation } = manifest;
    return sharing(this.#host, FILES_LOCK, async () => {
      const files = await withinQuota(this.#host, neededBytes, () => this.#files.write(generation, records));
      const names = [...files.values()];
      let replaced: string[] = [];
      try {
        await this.#write('relaxed', neededBytes, async (tx) => {
          await checkGeneration(tx, manifest);
          const before = await Promise.all(records.map((record) => putRecord(tx, manifest, record, files)));
          replaced = before.filter((file) => file !== undefined);
        });
      } catch (error) {
        await this.#files.remove(generation, names);
        throw error;
      }
      // A transaction whose end was not heard of is done again, and finds what it did.
      await this.#files.remove(
        generation,
        replaced.filter((file) => !names.includes(file)),
      );
    });
  }

  /** A record's bytes as they are on the disk, unchecked; null where there are none or they can't be read. */
  async record(model: string, key: string): Promise<Uint8Array | null> {
    try {
      const [mark, bytes] = await this.#connection.run('readonly', 'relaxed', (tx) =>
        Promise.all([tx.objectStore('marks').get([model, key]), tx.objectStore('records').get([model, key])]),
      );
      return mark?.file === undefined ? (bytes ?? null) : await this.#files.read(mark.generation, mark.file);
    } catch (error) {
      // A value whose file is damaged fails by itself while the database is well; a dead database fails elsewhere too.
      if (errorName(error) === 'NotReadableError' || errorName(error) === 'DataError') return null;
      if (error instanceof StoreError && errorName(error.cause) === 'UnknownError' && (await this.#answers()))
        return null;
      throw error;
    }
  }

  /** Removes a model and all its records, of each generation. */
  async deleteModel(model: string): Promise<void> {
    const generations = new Set<string>();
    await this.#write('strict', 0, async (tx) => {
      const [manifest, marks] = await Promise.all([
        tx.objectStore('manifests').get(model),
        tx.objectStore('marks').index('model').getAll(model),
      ]);
      for (const { generation } of manifest ? [manifest, ...marks] : marks) generations.add(generation);
      const keys = marks.map(({ key }): [string, string] => [model, key]);
      await Promise.all([tx.objectStore('manifests').delete(model), ...deletions(tx, keys)]);
    });
    for (const generation of generations) await this.#files.removeAll(generation);
  }

  /**
   * Removes records that no manifest of their generation stands for, and tells how many: files too, unless a tab writes
   * one just now.
   */
  async sweep(): Promise<number> {
    let nSwept = 0;
    const sweepFiles = async () => {
      const swept = await this.#sweepDatabase();
      nSwept = swept.nSwept + (await this.#files.sweep(swept.named));
    };
    if (await ifFree(this.#host, FILES_LOCK, sweepFiles)) return nSwept;
    return (await this.#sweepDatabase()).nSwept;
  }

  /** One transaction looks and deletes, so that nothing stored meanwhile by another tab is taken for an orphan. */
  async #sweepDatabase() {
    let nSwept = 0;
    const named = new Map<string, Set<string>>();
    await this.#write('relaxed', 0, async (tx) => {
      const [manifests, marks, keys] = await Promise.all([
        tx.objectStore('manifests').getAll(),
        tx.objectStore('marks').getAll(),
        tx.objectStore('records').getAllKeys(),
      ]);
      const generations = new Map(manifests.map(({ model, generation }) => [model, generation]));
      const orphans = new Map(keys.map((key) => [key.join('\n'), key]));
      named.clear();
      for (const generation of generations.values()) named.set(generation, new Set());
      for (const { model, key, generation, file } of marks) {
        if (generations.get(model) === generation) {
          orphans.delete(`${model}\n${key}`);
          if (file !== undefined) named.get(generation)?.add(file);
        } else orphans.set(`${model}\n${key}`, [model, key]);
      }
      nSwept = orphans.size;
      await Promise.all(deletions(tx, [...orphans.values()]));
    });
    return { nSwept, named };
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
    await withinQuota(this.#host, neededBytes, () => this.#connection.run('readwrite', durability, work));
  }
}

/** Puts a record's mark, and its bytes unless they are a file; resolves with the file it was before. */
async function putRecord(
  tx: Transaction<'readwrite'>,
  { model, generation }: Manifest,
  { key, bytes, sha256 }: PackedRecord,
  files: ReadonlyMap<string, string>,
): Promise<string | undefined> {
  const [marks, records] = [tx.objectStore('marks'), tx.objectStore('records')];
  const before = await marks.get([model, key]);
  const file = files.get(key);
  const mark = { model, key, generation, sizeBytes: bytes.length, sha256 };
  await Promise.all([
    marks.put(file === undefined ? mark : { ...mark, file }),
    file === undefined ? records.put(bytes, [model, key]) : records.delete([model, key]),
  ]);
  return before?.generation === generation ? before.file : undefined;
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
