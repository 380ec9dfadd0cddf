/**
 * Records on their way from a server of ranges, while a model already answers. Decides which bytes are asked for next,
 * and asks.
 *  1. No byte of a record is asked for twice, whoever waits for it, unless a request failed. (Gaps of some KiB between
 *     what is missing are, since a request costs more.)
 *  2. What is demanded is asked for at once, a request for each range, up to six at a time.
 *  3. While anything is demanded no guess is begun; one in flight ends at its piece's border.
 *  4. The background has one request at a time, and begins it only when nothing was demanded for a little while.
 */
import { abortedError, ExpertsError, NetError, orAborted, throwIfAborted } from '../errors/index.ts';
import type { Clock } from '../host/index.ts';
import { pieceReader } from './fetchRecords.ts';
import { packRecord } from './pack.ts';
import { deliver, type Part, partsOf, type Run, takeRun } from './pieces.ts';
import type { RecordPlan } from './record.ts';
import type { ByteSource } from './source.ts';

/** Who waits for a record: an answer, a guess at what it will ask for next, or nobody yet. */
type Reader = 'demand' | 'ahead' | 'background';

export interface ArrivalsOptions {
  readonly clock: Clock;
  /** The source, opened at the first need. It may fail now and succeed later. */
  readonly source: () => Promise<ByteSource>;
  /** The most that one request asks for. By itself a guess asks for 4 MiB at the most, a demand for a whole range. */
  readonly rangeBytes?: number | undefined;
  /** Takes a record that is whole, to store it; false if it does not. What it took is not changed any more. */
  readonly keep: (plan: RecordPlan, bytes: Uint8Array) => boolean;
}

const N_DEMANDED = 6;
const N_AHEAD = 2;
const PIECE_BYTES = 4 << 20;
const LEAST_PIECE_BYTES = 256 << 10;
/** A guess takes about so long at the speed seen: so long, at most, a demand shares the line with it. */
const PIECE_MS = 250;
/** The background rests after a demand: the next one follows within a token. */
const QUIET_MS = 500;
/** Somebody waits for an answer: a network that is gone is said so, and not waited for as long as in a download. */
const PATIENCE_MS = 30_000;

/** A record being fetched. */
interface Arrival {
  readonly plan: RecordPlan;
  readonly parts: readonly Part[];
  readonly nReaders: Record<Reader, number>;
  readonly done: Promise<Uint8Array>;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
  kept: boolean;
}

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
  #nDemanding = 0;
  #demandedAt = Number.NEGATIVE_INFINITY;
  #resting = false;
  #pumping = false;
  /** Bytes a millisecond, of the latest guess; null before the first. */
  #speed: number | null = null;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
  }

  /** How much the background should ask for now. Records side by side share their requests, up to so many bytes. */
  get pieceBytes(): number {
    const bySpeed = this.#speed === null ? PIECE_BYTES / 4 : Math.max(LEAST_PIECE_BYTES, this.#speed * PIECE_MS);
    return Math.floor(Math.min(PIECE_BYTES, bySpeed, this.#options.rangeBytes ?? PIECE_BYTES));
  }

  /**
   * The record, packed. Several who want it get it from one fetch, each a copy of its own; but for the background,
   * which may only look.
   * @throws {NetError} when the source gave no byte of it for half a minute.
   */
  async fetch(plan: RecordPlan, reader: Reader, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    throwIfAborted(this.#life.signal);
    const arrival = this.#arrivals.get(plan.key) ?? this.#begin(plan);
    arrival.nReaders[reader]++;
    this.#pumpSoon();
    try {
      const bytes = await orAborted(arrival.done, signal);
      return reader !== 'background' && (arrival.kept || nReaders(arrival) > 1) ? bytes.slice() : bytes;
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

  #begin(plan: RecordPlan): Arrival {
    let resolve: Arrival['resolve'] = () => undefined;
    let reject: Arrival['reject'] = () => undefined;
    const done = new Promise<Uint8Array>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    // Its readers may all have left when it fails.
    done.catch(() => undefined);
    const nReaders = { demand: 0, ahead: 0, background: 0 };
    const arrival = { plan, parts: partsOf(plan), nReaders, done, resolve, reject, kept: false };
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
    });
  }

  #next(): { reader: Reader; run: Run } | null {
    const wanted = (reader: Reader) => [...this.#arrivals.values()].filter(({ nReaders }) => nReaders[reader] > 0);
    const [nDemands, nAhead, nBackground] = [this.#count('demand'), this.#count('ahead'), this.#count('background')];
    const demanded = wanted('demand');
    if (demanded.length > 0) {
      return nDemands < N_DEMANDED ? firstRun('demand', demanded, this.#options.rangeBytes ?? Infinity) : null;
    }
    if (this.#nDemanding > 0) return null;
    const ahead = wanted('ahead');
    if (ahead.length > 0) return nAhead < N_AHEAD ? firstRun('ahead', ahead, this.pieceBytes) : null;
    const background = wanted('background');
    if (background.length === 0 || nAhead + nBackground > 0 || this.#rest()) return null;
    // Records side by side in the file are asked for together.
    const run = takeRun(
      background.flatMap(({ parts }) => parts),
      this.pieceBytes,
    );
    return run && { reader: 'background', run };
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
      const bytes = await source.read(run.offset, run.length, request.abort.signal, undefined, PATIENCE_MS);
      if (reader !== 'demand') this.#speed = run.length / Math.max(1, clock.now() - start);
      deliver(run, bytes);
      for (const arrival of arrivals) if (isWhole(arrival)) this.#finish(arrival);
    } catch (error) {
      for (const arrival of arrivals) this.#fail(arrival, error);
    } finally {
      this.#inFlight.delete(request);
      this.#pumpSoon();
    }
  }

  async #finish(arrival: Arrival): Promise<void> {
    const { plan, parts } = arrival;
    try {
      const bytes = await packRecord(plan, pieceReader(parts));
      arrival.kept = this.#options.keep(plan, bytes);
      if (this.#isWaitedFor(arrival)) this.#arrivals.delete(plan.key);
      arrival.resolve(bytes);
    } catch (error) {
      this.#fail(arrival, error);
    }
  }

  #fail(arrival: Arrival, error: unknown): void {
    if (!this.#isWaitedFor(arrival)) return;
    this.#arrivals.delete(arrival.plan.key);
    arrival.reject(error);
    for (const { arrivals, abort } of this.#inFlight) {
      if (!arrivals.some((other) => this.#isWaitedFor(other))) abort.abort();
    }
  }

  #isWaitedFor(arrival: Arrival): boolean {
    return this.#arrivals.get(arrival.plan.key) === arrival;
  }
}

function firstRun(reader: Reader, arrivals: readonly Arrival[], mostBytes: number) {
  for (const { parts } of arrivals) {
    const run = takeRun(parts, mostBytes);
    if (run) return { reader, run };
  }
  return null;
}

function isWhole({ parts }: Arrival): boolean {
  return parts.every((part) => part.arrived === part.bytes.length);
}

function nReaders({ nReaders: { demand, ahead, background } }: Arrival): number {
  return demand + ahead + background;
}

/** What a read of a record that is not stored yet rejects with when the source can't be had. */
export function absentIfUnreachable(url: string, { key }: RecordPlan, error: unknown): unknown {
  if (!(error instanceof NetError)) return error;
  return new ExpertsError('experts/absent', `${key} of ${url} is not here yet: ${error.message}`, {
    remedy: `${error.remedy} What has arrived stays, and the conversation can go on when the rest can be fetched.`,
    retryable: true,
    details: { url, key },
    cause: error,
  });
}
