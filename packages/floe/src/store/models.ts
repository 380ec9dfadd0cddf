/** The models in this origin's storage, as a whole: what there is, and what may go. */
import { StoreError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { Database } from './database.ts';
import { ifFree, modelLock } from './locks.ts';
import type { Manifest } from './manifest.ts';
import { PACKING_VERSION } from './pack.ts';

export interface StoredModel {
  readonly id: string;
  /** Without query and fragment. */
  readonly url: string;
  readonly fileBytes: number;
  /** Of its records that are stored. */
  readonly storedBytes: number;
  /** False while its download is under way or was cut. */
  readonly complete: boolean;
}

/** Every model that takes room here, half downloaded ones included. */
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
 * Deletes a model, by its id or its URL, and gives its room back.
 * @throws {StoreError} `store/blocked` when this or another tab is using it.
 */
export async function deleteModel(host: Host, idOrUrl: string): Promise<void> {
  await withDatabase(
    host,
    async (db) => {
      const manifests = await db.manifests();
      for (const { model, url } of manifests.filter(({ model, url }) => model === idOrUrl || url === idOrUrl)) {
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
