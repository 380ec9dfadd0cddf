/** Where a model file comes from. A source is read by range and states its length; it knows nothing of GGUF. */
export interface ByteSource {
  /** What to call it in messages: a URL without its query, or a file name. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Identifies these very bytes where the source can (an ETag, a modification time), else null. */
  readonly version: string | null;
  /** True where bytes are as near as this device's own disk: nothing is copied to the store. */
  readonly local: boolean;
  /** Exactly `length` bytes from `offset`. */
  readonly read: (offset: number, length: number, signal?: AbortSignal) => Promise<Uint8Array>;
  readonly close: () => Promise<void>;
}

/** What a person may name as a model: a URL, a `File`/`Blob`, or a path (in Node). */
export type ModelSource = string | URL | Blob | { readonly path: string };
