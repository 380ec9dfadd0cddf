/** What went otherwise than hoped while weights were loaded, and what the load is doing now. */
export interface StoreNotice {
  readonly kind: 'no-ranges' | 'not-stored' | 'refetched' | 'resumed' | 'slow-storage';
  readonly message: string;
}

export interface StoreStep {
  /** 'verify': the file's published hash is checked. */
  readonly phase: 'download' | 'verify';
  /** Bytes of the file. */
  readonly loaded: number;
  readonly total: number;
}

export interface StoreProgress extends StoreStep {
  /** Everything noticed so far. */
  readonly notices: readonly StoreNotice[];
}

/** How much of a model is stored while it is used already. */
export interface BackgroundProgress {
  readonly storedBytes: number;
  /** Of all its records. */
  readonly totalBytes: number;
}

export function refetched(key: string): StoreNotice {
  return { kind: 'refetched', message: `${key} was damaged in the store and was downloaded again.` };
}
