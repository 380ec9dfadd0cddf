/** Records on their way into the store: bytes that are counted until nothing of them is left there. */
import { beforeEach, describe, expect, it } from 'vitest';
import { StoreError } from '../errors/index.ts';
import { ByteAccount } from './byteAccount.ts';
import type { Database } from './database.ts';
import { testHost, testModel } from './host.testing.ts';
import type { Manifest } from './manifest.ts';
import type { StoreNotice } from './notices.ts';
import { WriteQueue } from './writeQueue.ts';

const [first, second, third] = testModel().plans.slice(2) as [Plan, Plan, Plan];
type Plan = ReturnType<typeof testModel>['plans'][number];

/** Writes that were begun, each to be ended by hand. */
let writes: { end: () => void; fail: () => void }[];
let account: ByteAccount;
let notices: StoreNotice[];
let queue: WriteQueue;
beforeEach(() => {
  writes = [];
  notices = [];
  account = new ByteAccount(1e9);
  const putRecords = () =>
    new Promise<void>((resolve, reject) => {
      const fail = () => reject(new StoreError('store/quota', 'full', { remedy: '' }));
      writes.push({ end: resolve, fail });
    });
  queue = new WriteQueue({
    host: testHost(),
    db: { putRecords } as unknown as Database,
    manifest: { totalBytes: 1e6 } as Manifest,
    hashes: new Map(),
    storedBytes: 0,
    storageBytes: first.sizeBytes * 2,
    account,
    onNotice: (notice) => notices.push(notice),
    onStored: () => undefined,
  });
});

/** As an arrival does: counted, then handed over. */
function add(plan: Plan): boolean {
  const took = queue.add(plan, new Uint8Array(plan.sizeBytes));
  if (took) account.take(plan.sizeBytes);
  return took;
}

describe('bytes that wait to be stored', () => {
  it('are held until their write has ended, and given back then', async () => {
    expect([add(first), add(second)]).toEqual([true, true]);
    await expect.poll(() => writes).toHaveLength(1);
    expect(account.heldBytes).toBe(first.sizeBytes + second.sizeBytes);
    writes[0]!.end();
    await queue.isIdle();
    expect(account.heldBytes).toBe(0);
    expect(queue.storedBytes).toBe(first.sizeBytes + second.sizeBytes);
  });

  it('are given back when the disk is full, and nothing is taken after', async () => {
    add(first);
    await expect.poll(() => writes).toHaveLength(1);
    writes[0]!.fail();
    await queue.isIdle();
    expect(account.heldBytes).toBe(0);
    expect(add(second)).toBe(false);
    expect(notices).toHaveLength(1);
  });

  it('are not taken beyond what the model may store', () => {
    expect([add(first), add(second), add(third)]).toEqual([true, true, false]);
    expect(account.heldBytes).toBe(first.sizeBytes + second.sizeBytes);
  });
});
