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
