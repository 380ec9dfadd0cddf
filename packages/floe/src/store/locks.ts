/** Locks between tabs; where the platform has none there is nobody to wait for. */
import { abortedError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';

/** One downloader of a model at a time. */
export const downloadLock = (model: string) => `floe:dl:${model}`;
/** One tab at a time fetches in the background; others would fetch the same. Fenced writes need no lock. */
export const backgroundLock = (model: string) => `floe:bg:${model}`;
/** Shared by those who read a model's records; exclusive for who deletes them. */
export const modelLock = (model: string) => `floe:model:${model}`;
/** One writer of a saved conversation at a time. */
export const conversationLock = (name: string) => `floe:conversation:${name}`;

/** Shared by those who write files and then say so in the database; exclusive for who sweeps files nobody names. */
export const FILES_LOCK = 'floe:files';

/** Runs `work` together with others who share `name`. */
export function sharing<T>(host: Host, name: string, work: () => Promise<T>): Promise<T> {
  return host.locks ? host.locks.request(name, { mode: 'shared' }, work) : work();
}

/** Runs `work` while nobody else holds `name`; waits for it as long as `signal` lets it. */
export async function withLock<T>(
  host: Host,
  name: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (!host.locks) return work();
  let started = false;
  try {
    return await host.locks.request(name, signal ? { signal } : {}, () => {
      started = true;
      return work();
    });
  } catch (error) {
    if (!started && signal?.aborted) throw abortedError(signal.reason);
    throw error;
  }
}

/** Runs `work` if nobody at all holds `name`, and tells whether it did. */
export async function ifFree(host: Host, name: string, work: () => Promise<void>): Promise<boolean> {
  if (!host.locks) {
    await work();
    return true;
  }
  return host.locks.request(name, { ifAvailable: true }, async (lock) => {
    if (!lock) return false;
    await work();
    return true;
  });
}

/** Takes `name` together with others who share it; resolves with what gives it back. */
export async function shareLock(host: Host, name: string): Promise<() => void> {
  const { locks } = host;
  if (!locks) return () => undefined;
  return new Promise((resolve, reject) => {
    locks.request(name, { mode: 'shared' }, () => new Promise<void>((release) => resolve(release))).catch(reject);
  });
}
