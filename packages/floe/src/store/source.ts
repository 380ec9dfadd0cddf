/** Where a model file comes from. A source is read by range and states its length; it knows nothing of GGUF. */
import { GgufError } from '../errors/index.ts';

export interface ByteSource {
  /** What to call it in messages: a URL without its query, or a file name. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Identifies these very bytes where the source can (an ETag, a modification time), else null. */
  readonly version: string | null;
  /** True where bytes are as near as this device's own disk: nothing is copied to the store. */
  readonly local: boolean;
  /** False where a server sends whole files only: `read` then reaches the file's beginning, and the rest is `stream`. */
  readonly ranges: boolean;
  /** Bytes of the file received over the network so far, those asked for twice twice. 0 where it is local. */
  readonly fetchedBytes: number;
  /** Exactly `length` bytes from `offset`. */
  readonly read: (offset: number, length: number, signal?: AbortSignal, options?: ReadOptions) => Promise<Uint8Array>;
  /** The whole file from its first byte, in pieces of any size; there where `ranges` is false. */
  readonly stream?: (signal?: AbortSignal) => AsyncIterable<Uint8Array>;
  readonly close: () => Promise<void>;
}

export interface ReadOptions {
  /** Hears of the bytes as they arrive, each once. */
  readonly onBytes?: ((nBytes: number) => void) | undefined;
  /** A network that brings nothing for so long is an error; by itself as long as a download has patience. */
  readonly patienceMs?: number | undefined;
  /** `length` bytes, where they may be put and then resolved with; a source that can't do so makes others. */
  readonly into?: Uint8Array | undefined;
}

/**
 * What a person may name as a model: a URL, a hub's address (`hf:owner/repo/file.gguf`), a `File`/`Blob`, or a path (in
 * Node). Of a split model any part's URL or path, or all its files. Of a model in safetensors its folder, whose URL ends
 * with a slash, or one of its files there (`config.json`), a hub's repository (`hf:owner/repo`), or all its files.
 */
export type ModelSource = string | URL | Blob | readonly Blob[] | { readonly path: string };

/** Throws unless `length` bytes from `offset` lie in the file: what a broken header asks for is never fetched. */
export function checkRange(source: { name: string; sizeBytes: number }, offset: number, length: number): void {
  const { name, sizeBytes } = source;
  if (Number.isSafeInteger(offset + length) && offset >= 0 && length >= 0 && offset + length <= sizeBytes) return;
  throw new GgufError(
    'gguf/truncated',
    `${name} has ${sizeBytes} bytes; bytes ${offset} to ${offset + length} were asked for.`,
    {
      remedy: 'The file is incomplete or its header is wrong. Download it again.',
      details: { name, offset, length, sizeBytes },
    },
  );
}
