/** For tests that open the test model again and again, and change what is stored between. */
import { expect, vi } from 'vitest';
import type { Host } from '../host/index.ts';
import type { FakeFiles } from './files.testing.ts';
import { testModel } from './host.testing.ts';
import { hex, type Mark } from './manifest.ts';
import type { OpenedWeights, OpenWeightsOptions } from './openWeights.ts';
import { packRecord } from './pack.ts';
import type { RecordPlan } from './record.ts';
import type { WeightSource } from './weights.ts';

const { file, headerBytes, plans } = testModel();

export type TestHeader = { readonly headerBytes: number };

/** Small requests, so that the test model takes a dozen. */
export const visitOptions: OpenWeightsOptions<TestHeader> = {
  readHeader: async (source, signal) => {
    // A little more than the header, as the real reader takes.
    await source.read(0, headerBytes + 500, signal);
    return { headerBytes };
  },
  makePlans: () => plans,
  probeBytes: 4_096,
  rangeBytes: 16_384,
};

/** The same place with the network off. */
export function offline(host: Host): Host {
  return { ...host, fetch: () => Promise.reject(new TypeError('fetch failed')) };
}

/** Reads every record and compares it with the file's, packed. */
export async function expectRight({ weights }: OpenedWeights<TestHeader>): Promise<void> {
  for (const plan of plans) await expectRecord(weights, plan);
}

/** Reads one record and compares it with the file's, packed. */
export async function expectRecord(weights: WeightSource, plan: RecordPlan): Promise<void> {
  const expected = await packRecord(plan, async (offset, length) => file.subarray(offset, offset + length));
  expect(hex(await weights.read(plan)), plan.key).toBe(hex(expected));
}

/** Changes what the database holds behind the store's back. */
export async function tamper(
  host: Host,
  work: (records: IDBObjectStore, marks: IDBObjectStore) => void,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const request = host.indexedDB!.open('floe');
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const tx = request.result.transaction(['records', 'marks'], 'readwrite');
      work(tx.objectStore('records'), tx.objectStore('marks'));
      tx.oncomplete = () => {
        request.result.close();
        resolve();
      };
    };
  });
}

/** In the database and in files. */
export async function countRecords(host: Host): Promise<number> {
  let counted: IDBRequest<number> | undefined;
  await tamper(host, (records) => {
    counted = records.count();
  });
  return counted!.result + (filesOf(host)?.contents.size ?? 0);
}

export function filesOf(host: Host): FakeFiles | null {
  return host.files as FakeFiles | null;
}

/** A stored record, wherever it lies. */
export async function storedRecord(host: Host, model: string, key: string): Promise<Uint8Array<ArrayBuffer>> {
  const { path, bytes } = await whereStored(host, model, key);
  return path === null ? bytes! : filesOf(host)!.contents.get(path)!.bytes;
}

/** Replaces a stored record behind the store's back, wherever it lies; its mark stays. Null: it is lost. */
export async function setStored(host: Host, model: string, key: string, bytes: Uint8Array<ArrayBuffer> | null) {
  const { path } = await whereStored(host, model, key);
  if (path === null) {
    await tamper(host, (records) => (bytes ? records.put(bytes, [model, key]) : records.delete([model, key])));
  } else if (bytes) filesOf(host)!.contents.set(path, { bytes, nOpen: 0 });
  else filesOf(host)!.contents.delete(path);
}

async function whereStored(host: Host, model: string, key: string) {
  let mark: IDBRequest<Mark> | undefined;
  let record: IDBRequest<Uint8Array<ArrayBuffer> | undefined> | undefined;
  await tamper(host, (records, marks) => {
    mark = marks.get([model, key]);
    record = records.get([model, key]);
  });
  const { file, generation } = mark!.result;
  return { path: file === undefined ? null : `floe/${generation}/${file}`, bytes: record!.result };
}

/** The disk is full when the nth record is put (the nth that is a file, where they are), and after it for `times`. */
export function fillDisk(host: Host, nth: number, times: number): void {
  let nPuts = 0;
  const isFull = () => ++nPuts >= nth && nPuts < nth + times;
  const files = filesOf(host);
  if (files) {
    files.faults.onCall = (what, path) => {
      // A record's is in its generation's folder; the probe's is not.
      if (what === 'write' && path.split('/').length === 3 && isFull())
        throw new DOMException('full', 'QuotaExceededError');
    };
    return;
  }
  const put = IDBObjectStore.prototype.put;
  vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, value, key) {
    const request = key === undefined ? put.call(this, value) : put.call(this, value, key);
    // Its request succeeds, and then the transaction aborts.
    const transaction = this.transaction as IDBTransaction & { _abort(name: string): void };
    if (this.name === 'records' && isFull()) {
      request.addEventListener('success', () => transaction._abort('QuotaExceededError'));
    }
    return request;
  });
}

/** There is room again. */
export function emptyDisk(host: Host): void {
  vi.restoreAllMocks();
  const files = filesOf(host);
  if (files) files.faults = {};
}
