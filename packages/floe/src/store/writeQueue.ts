/** Records that have arrived, on their way into the store; nobody who reads them waits for that. */
import { asFloeError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import type { ByteAccount } from './byteAccount.ts';
import type { Database } from './database.ts';
import type { Manifest } from './manifest.ts';
import type { StoreNotice } from './notices.ts';
import type { RecordPlan } from './record.ts';

export interface WriteQueueOptions {
  readonly host: Host;
  readonly db: Database;
  readonly manifest: Manifest;
  /** SHA-256 of each record that is stored. Grows as they are. */
  readonly hashes: Map<string, Uint8Array>;
  /** Of the records in `hashes`. */
  readonly storedBytes: number;
  /** The most that the model may take. */
  readonly storageBytes: number;
  /** Where records that are added are counted already; each is given back once nothing is left of it here. */
  readonly account: ByteAccount;
  readonly onNotice: (notice: StoreNotice) => void;
  /** After each transaction. */
  readonly onStored: () => void;
}

/** One transaction's worth. */
const BATCH_BYTES = 8 << 20;
/** More than this waiting is memory that nobody budgeted: the background stands still then. */
const WAITING_BYTES = 2 * BATCH_BYTES;

interface Waiting {
  readonly plan: RecordPlan;
  readonly bytes: Uint8Array;
}

export class WriteQueue {
  readonly #options: WriteQueueOptions;
  /** Those in the transaction under way included. */
  readonly #waiting = new Map<string, Waiting>();
  #writing: Promise<void> | null = null;
  #storedBytes: number;
  /** Nothing more can be stored. */
  #closed = false;
  #noticed = false;

  constructor(options: WriteQueueOptions) {
    this.#options = options;
    this.#storedBytes = options.storedBytes;
  }

  get storedBytes(): number {
    return this.#storedBytes;
  }

  /** Whether the record could be stored still. */
  fits({ sizeBytes }: RecordPlan): boolean {
    return !this.#closed && this.#storedBytes + this.#waitingBytes() + sizeBytes <= this.#options.storageBytes;
  }

  /** Stores the record soon, with what has come by then. False if there is no room for it, which is noticed once. */
  add(plan: RecordPlan, bytes: Uint8Array): boolean {
    const { hashes, storageBytes } = this.#options;
    if (hashes.has(plan.key) || this.#waiting.has(plan.key)) return false;
    if (!this.fits(plan)) {
      this.#notice(`${plan.key} is not kept: the model may take ${storageBytes} bytes. It is fetched at each use.`);
      return false;
    }
    this.#waiting.set(plan.key, { plan, bytes });
    this.#writing ??= this.#write();
    return true;
  }

  /** A record on its way, not to be changed. */
  get(key: string): Uint8Array | undefined {
    return this.#waiting.get(key)?.bytes;
  }

  /** Another tab stored the record. */
  found({ key, sizeBytes }: RecordPlan, sha256: Uint8Array): void {
    if (this.#options.hashes.has(key)) return;
    this.#options.hashes.set(key, sha256);
    this.#storedBytes += sizeBytes;
  }

  /** Resolves when more may be added without holding much in memory. */
  async hasRoom(): Promise<void> {
    if (this.#waitingBytes() > WAITING_BYTES) await this.#writing;
  }

  /** Resolves when everything added is stored, or given up. */
  async isIdle(): Promise<void> {
    await this.#writing;
  }

  #waitingBytes(): number {
    let sum = 0;
    for (const { bytes } of this.#waiting.values()) sum += bytes.length;
    return sum;
  }

  async #write(): Promise<void> {
    // What comes in this turn goes along.
    await Promise.resolve();
    while (this.#waiting.size > 0) {
      const batch = this.#batch();
      await this.#store(batch).catch((error: unknown) => this.#giveUp(error));
      for (const { plan } of batch) this.#letGo(plan.key);
    }
    this.#writing = null;
  }

  #letGo(key: string): void {
    const waiting = this.#waiting.get(key);
    if (!this.#waiting.delete(key)) return;
    this.#options.account.give(waiting?.bytes.length ?? 0);
  }

  #batch(): Waiting[] {
    const batch: Waiting[] = [];
    let batchBytes = 0;
    for (const each of this.#waiting.values()) {
      if (batch.length > 0 && batchBytes + each.bytes.length > BATCH_BYTES) break;
      batch.push(each);
      batchBytes += each.bytes.length;
    }
    return batch;
  }

  async #store(batch: readonly Waiting[]): Promise<void> {
    const { host, db, manifest, hashes, onStored } = this.#options;
    // Hashed before the transaction opens: one that waits for anything else commits by itself.
    const packed = await Promise.all(
      batch.map(async ({ plan, bytes }) => ({ key: plan.key, bytes, sha256: await host.sha256(bytes) })),
    );
    await db.putRecords(manifest, packed, manifest.totalBytes - this.#storedBytes);
    for (const { key, bytes, sha256 } of packed) {
      hashes.set(key, sha256);
      this.#storedBytes += bytes.length;
      this.#letGo(key);
    }
    onStored();
  }

  /**
   * The records were handed out and are right; that they are not stored costs a fetch the next time. Nor are those
   * after them: a store that is full, blocked, or has the model no more will hardly be another in this visit.
   */
  #giveUp(error: unknown): void {
    this.#closed = true;
    this.#notice(`What arrives is not kept, and is fetched at each use: ${asFloeError(error).message}`);
  }

  #notice(message: string): void {
    if (this.#noticed) return;
    this.#noticed = true;
    this.#options.onNotice({ kind: 'not-stored', message });
  }
}
