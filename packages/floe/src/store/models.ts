/** The models in this origin's storage, as a whole: what there is, and what may go. */
import { StoreError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { isStorageForbidden } from './connection.ts';
import { Database } from './database.ts';
import { ifFree, modelLock } from './locks.ts';
import type { Manifest } from './manifest.ts';
import { PACKING_VERSION } from './pack.ts';
import { storedName } from './sources/index.ts';

export interface StoredModel {
  /** For `deleteModel`. Two versions of the file at one URL are two models. */
  readonly id: string;
  /** Without query and fragment. */
  readonly url: string;
  readonly fileBytes: number;
  /** Of its records that are stored. */
  readonly storedBytes: number;
  /** False while its download is under way or was cut. */
  readonly complete: boolean;
}

/**
 * Every model that takes room in this origin's storage, half downloaded ones included. No weights are read. Empty where
 * there is no storage: in Node, or where the browser forbids it.
 * @throws {StoreError} `store/blocked` when the storage can't be opened, or another tab holds it.
 */
export async function listModels(host: Host): Promise<StoredModel[]> {
  return withDatabase(
    host,
    async (db) => {
      const models: StoredModel[] = [];
      for (const { model, url, fileBytes, generation, state } of await db.manifests()) {
        const marks = await db.marks(model, generation);
        const storedBytes = marks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
        models.push({ id: model, url, fileBytes, storedBytes, complete: state === 'complete' });
      }
      return models;
    },
    [],
  );
}

/**
 * Deletes a model and gives its room back. By its URL, with or without query, all its versions go; by its id, that one.
 * One that is not stored is no error. A download of it that is under way, here or in another tab, ends with
 * `store/evicted`.
 * @throws {StoreError} `store/blocked` when this or another tab has it loaded; nothing of that version is gone then. Or
 *   when the storage can't be opened.
 */
export async function deleteModel(host: Host, urlOrId: string | URL): Promise<void> {
  const named = String(urlOrId);
  // An id is a URL with a fragment; one that is gone must not take other versions with it.
  const name = URL.canParse(named) && !/#\d+(#|$)/.test(named) ? storedName(host, new URL(named)) : null;
  await withDatabase(
    host,
    async (db) => {
      const stored = await db.manifests();
      for (const { model, url } of stored.filter(({ model, url }) => model === named || url === name)) {
        if (!(await ifFree(host, modelLock(model), () => db.deleteModel(model)))) throw inUse(url);
      }
    },
    undefined,
  );
}

/** Removes what nobody can use: records without a manifest, and models packed by another version of Floe. */
export async function sweepStore(host: Host, db: Database): Promise<void> {
  await ifFree(host, 'floe:gc', async () => {
    const outdated = (await db.manifests()).filter(({ packingVersion }) => packingVersion !== PACKING_VERSION);
    await deleteFree(host, db, outdated);
    await db.sweep();
  });
}

/** Removes other versions of the model just completed, unless another tab still reads them. */
export async function removeOldModels(host: Host, db: Database, current: Manifest): Promise<void> {
  const others = (await db.manifestsOf(current.url)).filter(({ model }) => model !== current.model);
  await deleteFree(host, db, others);
}

async function deleteFree(host: Host, db: Database, manifests: readonly Manifest[]): Promise<void> {
  for (const { model } of manifests) await ifFree(host, modelLock(model), () => db.deleteModel(model));
}

async function withDatabase<T>(host: Host, work: (db: Database) => Promise<T>, none: T): Promise<T> {
  if (!host.indexedDB) return none;
  const db = new Database(host, host.indexedDB);
  try {
    return await work(db);
  } catch (error) {
    if (isStorageForbidden(error)) return none;
    throw error;
  } finally {
    db.close();
  }
}

function inUse(url: string): StoreError {
  return new StoreError('store/blocked', `${url} is in use.`, {
    remedy: 'Unload it in this tab and in others, then delete it again.',
    retryable: true,
    details: { url },
  });
}
