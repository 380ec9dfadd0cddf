/**
 * Records on their way from a server of ranges, while a model already answers. Decides which bytes are asked for next,
 * and asks.
 *  1. No byte of a record is asked for twice, whoever waits for it, unless a request failed. (Gaps of some KiB between
 *     what is missing are, since a request costs more.)
 *  2. What is demanded is asked for at once, a request for each range, up to six at a time.
 *  3. While anything is demanded no guess is begun; one in flight ends at its piece's border.
 *  4. The background has one request at a time, and begins it only when nothing was demanded for a little while.
 *  5. Bytes that are held, from the first request until the record is handed out or stored, are counted. A record is
 *     begun only where it leaves them below a limit, or if it is alone. Guesses are held to half of it, and a demand
 *     waits for none of them.
 */
import { abortedError, orAborted, throwIfAborted } from '../errors/index.ts';
import type { Clock } from '../host/index.ts';
import { type Arrival, begun, giveBack, guessedBytes, isWhole, newArrival, nReaders, type Reader } from './arrival.ts';
import { ByteAccount } from './byteAccount.ts';
import { pieceReader } from './fetchRecords.ts';
import { packRecord } from './pack.ts';
import { deliver, type Part, placeOf, type Run, takeRun } from './pieces.ts';
import type { RecordPlan } from './record.ts';
import type { ByteSource } from './source.ts';
import { DEMAND_PATIENCE_MS } from './sources/retry.ts';

export interface ArrivalsOptions {
  readonly clock: Clock;
  /** The source, opened at the first need. It may fail now and succeed later. */
  readonly source: () => Promise<ByteSource>;
  /** The most that one request asks for. By itself a guess asks for 4 MiB at the most, a demand for a whole range. */
  readonly rangeBytes?: number | undefined;
  /**
   * Takes a record that is whole, to store it; false if it does not. What it took is not changed any more, and is given
   * back to the account when it is stored.
   */
  readonly keep: (plan: RecordPlan, bytes: Uint8Array) => boolean;
  /** Of what is held. By itself one of 192 MiB: room for an expert of Arctic that comes beside one that is stored. */
  readonly account?: ByteAccount | undefined;
}

export const HELD_BYTES = 192 << 20;

const N_DEMANDED = 6;
const N_AHEAD = 2;
const PIECE_BYTES = 4 << 20;
const LEAST_PIECE_BYTES = 256 << 10;
/** A guess takes about so long at the speed seen: so long, at most, a demand shares the line with it. */
const PIECE_MS = 250;
/** The background rests after a demand: the next one follows within a token. */
const QUIET_MS = 500;

interface InFlight {
  readonly reader: Reader;
  readonly arrivals: readonly Arrival[];
  readonly abort: AbortController;
}

export class Arrivals {
  readonly #options: ArrivalsOptions;
  /** By key, in the order in which they were first asked for. */
  readonly #arrivals = new Map<string, Arrival>();
  readonly #inFlight = new Set<InFlight>();
  readonly #life = new AbortController();
  readonly #account: ByteAccount;
  /** Parts of the record that was whole last, for the next one: garbage of such a size stays about for a while. */
  #spare: Uint8Array[] = [];
  #nDemanding = 0;
  #demandedAt = Number.NEGATIVE_INFINITY;
  #resting = false;
  #pumping = false;
  /** Bytes a millisecond, of the latest guess; null before the first. */
  #speed: number | null = null;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
    this.#account = options.account ?? new ByteAccount(HELD_BYTES);
    this.#account.onGiven(() => this.#pumpSoon());
  }

  /** How much the background should ask for now. Records side by side share their requests, up to so many bytes. */
  get pieceBytes(): number {
    const bySpeed = this.#speed === null ? PIECE_BYTES / 4 : Math.max(LEAST_PIECE_BYTES, this.#speed * PIECE_MS);
    return Math.floor(Math.min(PIECE_BYTES, bySpeed, this.#options.rangeBytes ?? PIECE_BYTES));
  }

  /**
   * The record, packed, not to be changed. Several who want it get it from one fetch, and all the same array, which may
   * be on its way into the store as well.
   * @throws {NetError} when the source gave no byte of it for half a minute.
   */
  async fetch(plan: RecordPlan, reader: Reader, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    throwIfAborted(this.#life.signal);
    const arrival = this.#arrivals.get(plan.key) ?? this.#enter(plan);
    arrival.nReaders[reader]++;
    this.#pumpSoon();
    try {
      return await orAborted(arrival.done, signal);
    } finally {
      arrival.nReaders[reader]--;
      if (reader === 'demand') this.#demandedAt = this.#options.clock.now();
      if (nReaders(arrival) === 0) this.#fail(arrival, abortedError());
      this.#pumpSoon();
    }
  }

  /** Runs what is about to demand something; no guess is begun meanwhile. */
  async demanding<T>(work: () => Promise<T>): Promise<T> {
    this.#nDemanding++;
    try {
      return await work();
    } finally {
      this.#nDemanding--;
      this.#pumpSoon();
    }
  }

  /** Ends what is in flight; whoever waits gets `request/aborted`. */
  close(): void {
    this.#life.abort();
    for (const arrival of [...this.#arrivals.values()]) this.#fail(arrival, abortedError());
  }

  #enter(plan: RecordPlan): Arrival {
    const arrival = newArrival(plan);
    this.#arrivals.set(plan.key, arrival);
    return arrival;
  }

  /** Asks for what may be asked for, once all who begin something now have begun it. */
  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      for (let next = this.#next(); next; next = this.#next()) this.#ask(next.reader, next.run);
      if (this.#arrivals.size === 0) this.#spare = [];
    });
  }

  #next(): { reader: Reader; run: Run } | null {
    const wanted = (reader: Reader) => [...this.#arrivals.values()].filter(({ nReaders }) => nReaders[reader] > 0);
    const [nDemands, nAhead, nBackground] = [this.#count('demand'), this.#count('ahead'), this.#count('background')];
    const demanded = wanted('demand');
    if (demanded.length > 0) {
      return nDemands < N_DEMANDED ? this.#firstRun('demand', demanded, this.#options.rangeBytes ?? Infinity) : null;
    }
    if (this.#nDemanding > 0) return null;
    const ahead = wanted('ahead');
    if (ahead.length > 0) return nAhead < N_AHEAD ? this.#firstRun('ahead', ahead, this.pieceBytes) : null;
    const background = wanted('background');
    if (background.length === 0 || nAhead + nBackground > 0 || this.#rest()) return null;
    // Records side by side in the file are asked for together.
    const begun = background.filter((arrival) => this.#begun(arrival));
    const run = takeRun(
      begun.flatMap(({ parts }) => parts ?? []),
      this.pieceBytes,
    );
    return run && { reader: 'background', run };
  }

  #firstRun(reader: Reader, arrivals: readonly Arrival[], mostBytes: number) {
    for (const arrival of arrivals) {
      if (!this.#begun(arrival)) return null;
      const run = takeRun(arrival.parts ?? [], mostBytes);
      if (run) return { reader, run };
    }
    return null;
  }

  #begun(arrival: Arrival): boolean {
    const isBegun = arrival.parts !== null;
    if (!begun(arrival, this.#account, this.#spare, () => guessedBytes(this.#arrivals.values()))) return false;
    if (!isBegun) this.#spare = [];
    return true;
  }

  #count(reader: Reader): number {
    return [...this.#inFlight].filter((request) => request.reader === reader).length;
  }

  /** Whether the background has to wait; it is woken then. */
  #rest(): boolean {
    const restMs = this.#demandedAt + QUIET_MS - this.#options.clock.now();
    if (restMs <= 0 || this.#resting) return this.#resting;
    this.#resting = true;
    const wake = () => {
      this.#resting = false;
      this.#pumpSoon();
    };
    this.#options.clock.sleep(restMs, this.#life.signal).then(wake, wake);
    return true;
  }

  async #ask(reader: Reader, run: Run): Promise<void> {
    const arrivals = [...new Set(run.slices.map(({ part }) => this.#arrivals.get(part.key)!))];
    const request: InFlight = { reader, arrivals, abort: new AbortController() };
    this.#inFlight.add(request);
    try {
      const source = await this.#options.source();
      const { clock } = this.#options;
      const start = clock.now();
      const bytes = await source.read(run.offset, run.length, request.abort.signal, {
        patienceMs: DEMAND_PATIENCE_MS,
        into: placeOf(run),
      });
      if (reader !== 'demand') this.#speed = run.length / Math.max(1, clock.now() - start);
      deliver(run, bytes);
      for (const arrival of arrivals) if (isWhole(arrival)) this.#finish(arrival, arrival.parts);
    } catch (error) {
      for (const arrival of arrivals) this.#fail(arrival, error);
    } finally {
      this.#inFlight.delete(request);
      this.#pumpSoon();
    }
  }

  async #finish(arrival: Arrival, parts: readonly Part[]): Promise<void> {
    const { plan } = arrival;
    try {
      const bytes = await packRecord(plan, pieceReader(parts));
      // Those who waited may have left meanwhile, and its bytes with them.
      if (arrival.heldBytes === 0) this.#account.take(plan.sizeBytes);
      arrival.heldBytes ||= plan.sizeBytes;
      const isKept = this.#options.keep(plan, bytes);
      // Before its bytes make room: the background is not to take it for a quiet moment.
      if (arrival.nReaders.demand > 0) this.#demandedAt = this.#options.clock.now();
      this.#spare = parts.map((part) => part.bytes);
      giveBack(arrival, this.#account, isKept ? plan.sizeBytes : 0);
      if (this.#isWaitedFor(arrival)) this.#arrivals.delete(plan.key);
      arrival.resolve(bytes);
    } catch (error) {
      this.#fail(arrival, error);
    }
  }

  #fail(arrival: Arrival, error: unknown): void {
    if (!this.#isWaitedFor(arrival)) return;
    this.#arrivals.delete(arrival.plan.key);
    giveBack(arrival, this.#account);
    arrival.reject(error);
    for (const { arrivals, abort } of this.#inFlight) {
      if (!arrivals.some((other) => this.#isWaitedFor(other))) abort.abort();
    }
  }

  #isWaitedFor(arrival: Arrival): boolean {
    return this.#arrivals.get(arrival.plan.key) === arrival;
  }
}
