/** A full disk, said so. */
import { FloeError, StoreError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { errorName } from './connection.ts';

/**
 * Runs what writes to this origin's storage.
 * @param neededBytes  What the whole download still needs, for the message should the quota end here.
 * @throws {StoreError} `store/quota`.
 */
export async function withinQuota<T>(host: Host, neededBytes: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FloeError || errorName(error) !== 'QuotaExceededError') throw error;
    throw await quotaError(host, neededBytes, error);
  }
}

async function quotaError(host: Host, neededBytes: number, cause: unknown): Promise<StoreError> {
  const estimate = await host.storage?.estimate().catch(() => null);
  const availableBytes = estimate ? Math.max(0, estimate.quotaBytes - estimate.usageBytes) : null;
  const available = availableBytes === null ? '' : `; the browser speaks of ${mib(availableBytes)} free`;
  return new StoreError(
    'store/quota',
    `This origin's storage is full: ${mib(neededBytes)} more are needed${available}.`,
    {
      remedy: 'Free disk space or delete another model. What is stored so far stays, and the next try goes on from it.',
      retryable: true,
      details: { neededBytes, availableBytes },
      cause,
    },
  );
}

function mib(nBytes: number): string {
  return `${(nBytes / 2 ** 20).toFixed(1)} MiB`;
}
