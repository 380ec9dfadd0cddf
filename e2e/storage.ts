/** What Floe keeps in the page's IndexedDB and in its origin's files, looked at and damaged from outside of Floe. */
import type { Page } from '@playwright/test';

/** How many entries each object store holds; null where there is no database. */
export function storedCounts(page: Page): Promise<Record<string, number> | null> {
  return page.evaluate(async () => {
    if (!(await indexedDB.databases()).some(({ name }) => name === 'floe')) return null;
    const done = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const db = await done(indexedDB.open('floe'));
    const names = [...db.objectStoreNames];
    const tx = db.transaction(names);
    const counts = await Promise.all(names.map((name) => done(tx.objectStore(name).count())));
    db.close();
    return Object.fromEntries(names.map((name, i) => [name, counts[i]!]));
  });
}

/** Flips one bit in the middle of one record in IndexedDB, and returns the record's key. */
export function flipStoredBit(page: Page): Promise<string> {
  return page.evaluate(async () => {
    const done = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const db = await done(indexedDB.open('floe'));
    const tx = db.transaction('records', 'readwrite');
    const records = tx.objectStore('records');
    const [key] = await done(records.getAllKeys());
    const bytes: Uint8Array = await done(records.get(key!));
    bytes[bytes.length >> 1]! ^= 1;
    await done(records.put(bytes, key));
    db.close();
    return String(key);
  });
}

/** The sizes of the files that hold records, in bytes. */
export function storedFiles(page: Page): Promise<number[]> {
  return page.evaluate(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('floe', { create: true });
    const sizes: number[] = [];
    for await (const generation of root.values()) {
      if (!(generation instanceof FileSystemDirectoryHandle)) continue;
      for await (const file of generation.values()) {
        if (file instanceof FileSystemFileHandle) sizes.push((await file.getFile()).size);
      }
    }
    return sizes;
  });
}

/** Flips one bit in the middle of each of those files. */
export function flipBitInFiles(page: Page): Promise<void> {
  return page.evaluate(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('floe');
    for await (const generation of root.values()) {
      if (!(generation instanceof FileSystemDirectoryHandle)) continue;
      for await (const file of generation.values()) {
        if (!(file instanceof FileSystemFileHandle)) continue;
        const bytes = new Uint8Array(await (await file.getFile()).arrayBuffer());
        bytes[bytes.length >> 1]! ^= 1;
        const writable = await file.createWritable();
        await writable.write(bytes);
        await writable.close();
      }
    }
  });
}

/** Sets how much the page's origin may store; null lifts that again. */
export async function overrideQuota(page: Page, quotaBytes: number | null): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  const { origin } = new URL(page.url());
  await devtools.send('Storage.overrideQuotaForOrigin', {
    origin,
    ...(quotaBytes === null ? {} : { quotaSize: quotaBytes }),
  });
}
