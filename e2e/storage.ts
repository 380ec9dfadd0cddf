/** What Floe keeps in the page's IndexedDB, looked at and damaged from outside of Floe. */
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

/** Flips one bit in the middle of one stored record, and returns the record's key. */
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

/** Sets how much the page's origin may store; null lifts that again. */
export async function overrideQuota(page: Page, quotaBytes: number | null): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  const { origin } = new URL(page.url());
  await devtools.send('Storage.overrideQuotaForOrigin', {
    origin,
    ...(quotaBytes === null ? {} : { quotaSize: quotaBytes }),
  });
}
