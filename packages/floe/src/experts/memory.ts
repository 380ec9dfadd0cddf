/** The tier between storage and GPU: packed records in this thread's memory, under a budget of bytes. */
export class MemoryTier {
  private readonly records = new Map<number, Uint8Array>();
  /** Held now. */
  usedBytes = 0;

  constructor(
    readonly budgetBytes: number,
    /** What keeping an expert here is worth: its expected use. */
    private readonly worth: (key: number) => number,
  ) {}

  get(key: number): Uint8Array | undefined {
    return this.records.get(key);
  }

  has(key: number): boolean {
    return this.records.has(key);
  }

  /** Keeps a record, in the place of those that are worth less, or not at all. */
  offer(key: number, record: Uint8Array): void {
    if (this.records.has(key) || record.byteLength > this.budgetBytes) return;
    const going = this.goingFor(key, record.byteLength);
    if (!going) return;
    for (const other of going) this.drop(other);
    this.records.set(key, record);
    this.usedBytes += record.byteLength;
  }

  clear(): void {
    this.records.clear();
    this.usedBytes = 0;
  }

  /** Those that are worth less than `key` and must go for its bytes, the least first; null where they would not be enough. */
  private goingFor(key: number, sizeBytes: number): Set<number> | null {
    const worth = this.worth(key);
    const going = new Set<number>();
    for (let freeBytes = this.budgetBytes - this.usedBytes; freeBytes < sizeBytes; ) {
      const least = this.leastWorth(going);
      if (least === null || this.worth(least) >= worth) return null;
      going.add(least);
      freeBytes += this.records.get(least)!.byteLength;
    }
    return going;
  }

  private drop(key: number): void {
    this.usedBytes -= this.records.get(key)?.byteLength ?? 0;
    this.records.delete(key);
  }

  private leastWorth(but: ReadonlySet<number>): number | null {
    let found: number | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const key of this.records.keys()) {
      if (but.has(key)) continue;
      const worth = this.worth(key);
      if (worth >= least) continue;
      [found, least] = [key, worth];
    }
    return found;
  }
}
