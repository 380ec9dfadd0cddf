/** One file of the origin's own, whole: the platform's handles and their ways to fail. */
import type { Folder, OriginFile, SyncAccess } from '../host/index.ts';
import { errorName } from './connection.ts';

/** What opening says of a file that another tab, or another read of this one, has open for itself alone. */
const TAKEN_ERRORS = ['NoModificationAllowedError', 'InvalidStateError'];

/** A write keeps its thread waiting, 25 ms for so many bytes, and that thread may be answering. */
const PIECE_BYTES = 8 << 20;

/**
 * Writes a new file, and resolves when the disk has it. Between pieces it waits for `pause`, which lets others have the
 * thread.
 * @throws {DOMException} whatever the platform has against it; part of the file may be there then.
 */
export async function writeFile(
  folder: Folder,
  name: string,
  bytes: Uint8Array,
  pause: () => Promise<void>,
): Promise<void> {
  const file = await folder.getFileHandle(name, { create: true });
  if (!file.createSyncAccessHandle)
    throw new DOMException('Files can be written in a worker only.', 'NotSupportedError');
  const access = await file.createSyncAccessHandle({ mode: 'readwrite' });
  try {
    for (let at = 0; at < bytes.length; ) {
      const nWritten = access.write(bytes.subarray(at, at + PIECE_BYTES), { at });
      if (nWritten <= 0) throw new DOMException(`No byte was taken behind ${at}.`, 'QuotaExceededError');
      at += nWritten;
      if (at < bytes.length && nWritten === PIECE_BYTES) await pause();
    }
    access.flush();
  } finally {
    access.close();
  }
}

/**
 * All bytes of a file. By an access handle they come straight into the array; where there is none to be had, by way of a
 * `Blob`, in 1.3 to 2 times the time.
 * @throws {DOMException} `NotFoundError`, `NotReadableError` and the like.
 */
export async function readFile(folder: Folder, name: string): Promise<Uint8Array> {
  const file = await folder.getFileHandle(name);
  const access = await openToRead(file);
  if (!access) return new Uint8Array(await (await file.getFile()).arrayBuffer());
  try {
    const bytes = new Uint8Array(access.getSize());
    for (let at = 0; at < bytes.length; ) {
      const nRead = access.read(bytes.subarray(at), { at });
      if (nRead <= 0) throw new DOMException(`No byte came behind ${at}.`, 'NotReadableError');
      at += nRead;
    }
    return bytes;
  } finally {
    access.close();
  }
}

/** Together with other readers, where the browser knows that mode; null where it can't be opened so now. */
async function openToRead(file: OriginFile): Promise<SyncAccess | null> {
  try {
    return (await file.createSyncAccessHandle?.({ mode: 'read-only' })) ?? null;
  } catch (error) {
    if (TAKEN_ERRORS.includes(errorName(error))) return null;
    throw error;
  }
}
