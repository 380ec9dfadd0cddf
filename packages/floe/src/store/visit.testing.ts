/** For tests that open the test model again and again, and change what is stored between. */
import { expect } from 'vitest';
import type { Host } from '../host/index.ts';
import { testModel } from './host.testing.ts';
import { hex } from './manifest.ts';
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

export async function countRecords(host: Host): Promise<number> {
  let counted: IDBRequest<number> | undefined;
  await tamper(host, (records) => {
    counted = records.count();
  });
  return counted!.result;
}
