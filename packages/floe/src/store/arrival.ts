/** One record on its way: who waits for it, what of it is here, and the bytes that takes. */
import { ExpertsError, NetError } from '../errors/index.ts';
import type { ByteAccount } from './byteAccount.ts';
import { fileBytes } from './fetchPlan.ts';
import { type Part, partsOf } from './pieces.ts';
import type { RecordPlan } from './record.ts';

/** Who waits for a record: an answer, a guess at what it will ask for next, or nobody yet. */
export type Reader = 'demand' | 'ahead' | 'background';

export interface Arrival {
  readonly plan: RecordPlan;
  /** Null until it is begun: it may wait for room. */
  parts: readonly Part[] | null;
  /** Of it, in the account: its parts and the record that is made of them. */
  heldBytes: number;
  readonly nReaders: Record<Reader, number>;
  readonly done: Promise<Uint8Array>;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

export function newArrival(plan: RecordPlan): Arrival {
  let resolve: Arrival['resolve'] = () => undefined;
  let reject: Arrival['reject'] = () => undefined;
  const done = new Promise<Uint8Array>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Its readers may all have left when it fails.
  done.catch(() => undefined);
  const nReaders = { demand: 0, ahead: 0, background: 0 };
  return { plan, parts: null, heldBytes: 0, nReaders, done, resolve, reject };
}

/**
 * Whether it has begun; it does if there is room for its bytes. `guessed`: what guesses hold, which bar no demand.
 * `spare`: arrays that its parts may be put into.
 */
export function begun(
  arrival: Arrival,
  account: ByteAccount,
  spare: readonly Uint8Array[],
  guessed: () => number,
): boolean {
  if (arrival.parts) return true;
  const { plan, nReaders } = arrival;
  const needBytes = fileBytes(plan) + plan.sizeBytes;
  const isDemand = nReaders.demand > 0;
  const othersBytes = account.heldBytes - (isDemand ? guessed() : 0);
  const mostBytes = isDemand ? account.limitBytes : account.limitBytes / 2;
  if (othersBytes > 0 && othersBytes + needBytes > mostBytes) return false;
  account.take(needBytes);
  arrival.heldBytes = needBytes;
  arrival.parts = partsOf(plan, spare);
  return true;
}

/** Of arrivals that have begun, and nobody demands. */
export function guessedBytes(arrivals: Iterable<Arrival>): number {
  let sum = 0;
  for (const { heldBytes, nReaders } of arrivals) if (nReaders.demand === 0) sum += heldBytes;
  return sum;
}

/** Lets its parts go, and its record, but for the bytes that somebody keeps. */
export function giveBack(arrival: Arrival, account: ByteAccount, keptBytes = 0): void {
  const { heldBytes } = arrival;
  arrival.heldBytes = 0;
  arrival.parts = null;
  account.give(heldBytes - keptBytes);
}

export function isWhole(arrival: Arrival): arrival is Arrival & { parts: readonly Part[] } {
  return arrival.parts?.every((part) => part.arrived === part.bytes.length) ?? false;
}

export function nReaders({ nReaders: { demand, ahead, background } }: Arrival): number {
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
