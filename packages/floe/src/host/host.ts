/**
 * The one seam to the outside. Everything above receives a `Host` and touches nothing else, so that a test can make
 * any of it slow, wrong or gone.
 */
export interface Host {
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
  /** Null where there is none (Node): models are then read in place. */
  readonly indexedDB: IDBFactory | null;
  /** Null where the platform has no Web Locks: then nobody else can hold one. */
  readonly locks: LockManager | null;
  readonly storage: StorageInfo | null;
  /** Null where an origin has no files of its own. */
  readonly files: OriginFiles | null;
  /** Of this machine, as far as it is told (browsers round it, and stop at 8 GiB); null where it is not. */
  readonly memoryBytes: number | null;
  readonly sha256: (bytes: Uint8Array) => Promise<Uint8Array>;
  /** Null where the platform has no WebGPU. */
  readonly gpu: GPU | null;
  readonly clock: Clock;
  /** A number in [0, 1), for seeds and jitter. */
  readonly random: () => number;
  /** Opens a file by path for reading; null in a browser. */
  readonly openFile: ((path: string) => Promise<FileReader>) | null;
  /** A fresh worker that renders chat templates, and is thrown away when one takes too long. */
  readonly startTemplateWorker: () => WorkerPort;
}

export interface Clock {
  /** Milliseconds since some fixed moment; never runs backwards. */
  readonly now: () => number;
  /** Milliseconds since 1970, for what a person or another program reads. */
  readonly epochMs: () => number;
  /** Rejects with `request/aborted` when the signal fires. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

export interface StorageInfo {
  /** Advice only: browsers round the quota and lie about what is left. */
  readonly estimate: () => Promise<{ readonly usageBytes: number; readonly quotaBytes: number }>;
  /** Asks that this origin's data survive storage pressure; true if granted. */
  readonly persist: () => Promise<boolean>;
}

/** The files of this origin, which no person sees (OPFS). */
export interface OriginFiles {
  /** Rejects where they are forbidden: in some private windows, with site data switched off. */
  readonly root: () => Promise<Folder>;
  /** Fewer bytes than these are written and read faster in IndexedDB. */
  readonly leastBytes: number;
}

/** What is used of `FileSystemDirectoryHandle`. */
export interface Folder {
  getDirectoryHandle(name: string, options?: { create?: boolean }): Promise<Folder>;
  getFileHandle(name: string, options?: { create?: boolean }): Promise<OriginFile>;
  removeEntry(name: string, options?: { recursive?: boolean }): Promise<void>;
  keys(): AsyncIterable<string>;
}

/** What is used of `FileSystemFileHandle`. */
export interface OriginFile {
  getFile(): Promise<Blob>;
  /** Missing in a page: there is one in dedicated workers only. A browser that knows no modes opens for one alone. */
  createSyncAccessHandle?(options?: { mode: 'readwrite' | 'read-only' }): Promise<SyncAccess>;
}

/** `FileSystemSyncAccessHandle`: reads and writes while the thread waits. */
export interface SyncAccess {
  /** How many bytes were read: fewer where the file ends. */
  read(bytes: Uint8Array, options: { at: number }): number;
  /** How many bytes were written, which may be fewer than asked for. */
  write(bytes: Uint8Array, options: { at: number }): number;
  getSize(): number;
  flush(): void;
  close(): void;
}

/** A file opened for reading at any offset. */
export interface FileReader {
  readonly sizeBytes: number;
  /** Exactly `length` bytes from `offset`; throws if the file ends before. */
  readonly read: (offset: number, length: number) => Promise<Uint8Array>;
  readonly close: () => Promise<void>;
}

/** A worker as both platforms can offer it. */
export interface WorkerPort {
  readonly post: (message: unknown) => void;
  readonly onMessage: (listener: (message: unknown) => void) => void;
  readonly onError: (listener: (error: Error) => void) => void;
  readonly terminate: () => void;
}
