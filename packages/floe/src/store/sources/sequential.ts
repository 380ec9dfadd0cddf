/** A file on a server that sends whole files only: read once, from its first byte to its last. */
import { throwIfAborted } from '../../errors/index.ts';
import type { Host } from '../../host/index.ts';
import { type ByteSource, checkRange } from '../source.ts';
import { endedEarly, type RequestInfo, rangeError, readBody, request, sourceChanged, versionOf } from './request.ts';
import { READ_POLICY, withRetries } from './retry.ts';

/** Of the file's beginning, for the header; more is never held. */
const KEPT_BYTES = 256 << 20;

/**
 * Goes on with the body of `first`, so that reading the header and then streaming the file is one download.
 * The connection waits between the two: the server's bytes stay in the network, not in memory.
 */
export function sequentialSource(host: Host, info: RequestInfo, first: Response, life: AbortController): ByteSource {
  const length = first.headers.get('Content-Length');
  if (length === null || first.headers.has('Content-Encoding')) {
    throw rangeError(info.name, 'the server knows no ranges and does not tell the size of the file');
  }
  const pinned = { sizeBytes: Number(length), version: versionOf(first) };
  let kept: Uint8Array[] | null = [];
  let keptBytes = 0;
  let fetchedBytes = 0;
  const counted = (from: Response | null) =>
    wholeFile(host, info, pinned, from, life.signal, (nBytes) => {
      fetchedBytes += nBytes;
    });
  let pieces = counted(first);

  const source: ByteSource = {
    name: info.name,
    ...pinned,
    local: false,
    ranges: false,
    get fetchedBytes() {
      return fetchedBytes;
    },
    read: async (offset, nBytes, signal, options) => {
      checkRange(source, offset, nBytes);
      const end = offset + nBytes;
      if (!kept || end > KEPT_BYTES)
        throw rangeError(info.name, `bytes ${offset}-${end - 1} can't be read by themselves`);
      while (keptBytes < end) {
        throwIfAborted(signal);
        const { done, value } = await pieces.next();
        if (done) break;
        kept.push(value);
        keptBytes += value.length;
      }
      options?.onBytes?.(nBytes);
      return joined(kept).slice(offset, end);
    },
    stream: async function* (signal) {
      const stop = () => life.abort(signal?.reason);
      throwIfAborted(signal);
      signal?.addEventListener('abort', stop, { once: true });
      try {
        const begun = kept;
        kept = null;
        if (begun) yield* begun;
        else pieces = counted(null);
        for await (const piece of pieces) {
          throwIfAborted(signal);
          yield piece;
        }
      } finally {
        signal?.removeEventListener('abort', stop);
      }
    },
    close: async () => life.abort(),
  };
  return source;
}

/** All bytes in order. A cut connection is opened again, and what was seen before is passed over. */
async function* wholeFile(
  host: Host,
  info: RequestInfo,
  pinned: { sizeBytes: number; version: string | null },
  first: Response | null,
  signal: AbortSignal,
  onBytes: (nBytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let position = 0;
  let current: AsyncGenerator<Uint8Array> | null = first && readBody(host, info, first, signal);
  while (position < pinned.sizeBytes) {
    const piece = await withRetries(host, READ_POLICY, signal, async () => {
      current ??= await reopened(host, info, pinned, position, signal);
      try {
        const { done, value } = await current.next();
        if (done) throw endedEarly(info, pinned.sizeBytes, position);
        return value;
      } catch (error) {
        current = null;
        throw error;
      }
    });
    position += piece.length;
    onBytes(piece.length);
    if (position > pinned.sizeBytes) throw rangeError(info.name, `more than its ${pinned.sizeBytes} bytes came`);
    yield piece;
  }
}

async function reopened(
  host: Host,
  info: RequestInfo,
  pinned: { sizeBytes: number; version: string | null },
  position: number,
  signal: AbortSignal,
): Promise<AsyncGenerator<Uint8Array>> {
  const response = await request(host, info, { signal });
  const version = versionOf(response);
  if (pinned.version !== null && version !== null && version !== pinned.version) {
    await response.body?.cancel();
    throw sourceChanged(info.name, pinned.version, version);
  }
  return skipped(readBody(host, info, response, signal), position);
}

async function* skipped(pieces: AsyncIterable<Uint8Array>, nBytes: number): AsyncGenerator<Uint8Array> {
  let left = nBytes;
  for await (const piece of pieces) {
    if (piece.length > left) yield piece.subarray(left);
    left = Math.max(0, left - piece.length);
  }
}

function joined(pieces: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces.splice(0)) {
    all.set(piece, at);
    at += piece.length;
  }
  pieces.push(all);
  return all;
}
