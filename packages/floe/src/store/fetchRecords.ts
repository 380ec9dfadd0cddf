/** Records from a source: by several ranges at once, or out of one stream. */
import { InternalError, throwIfAborted } from '../errors/index.ts';
import { type ByteRange, type FetchGroup, groupRecords, sourcesOf } from './fetchPlan.ts';
import { packRecord } from './pack.ts';
import type { RecordPlan } from './record.ts';
import type { ByteSource } from './source.ts';

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Hears of the file's bytes as they arrive. */
  readonly onBytes?: ((nBytes: number) => void) | undefined;
  /** The most that one request asks for. */
  readonly rangeBytes?: number | undefined;
  /** The most that is asked for before the first of it is taken; one group always is. 128 MiB by itself. */
  readonly aheadBytes?: number | undefined;
  /** Milliseconds without a byte after which a range is given up; 5 minutes by itself. */
  readonly patienceMs?: number | undefined;
}

export interface FetchedRecord {
  readonly plan: RecordPlan;
  readonly bytes: Uint8Array;
}

const RANGE_BYTES = 8 << 20;
const N_IN_FLIGHT = 3;
/** Groups begun before the first of them is stored: one that is packed, and one for each request in flight. */
const N_AHEAD = N_IN_FLIGHT + 1;
/** Of the file, in groups begun: large experts are not worth four. While a group is packed it is held twice. */
const AHEAD_BYTES = 128 << 20;

/** The records in the plans' order, in batches worth a transaction. Later ranges are on their way meanwhile. */
export async function* fetchByRanges(
  source: ByteSource,
  plans: readonly RecordPlan[],
  options: FetchOptions,
): AsyncGenerator<FetchedRecord[]> {
  const groups = groupRecords(plans, options.rangeBytes ?? RANGE_BYTES);
  const inLane = lanes(N_IN_FLIGHT);
  const life = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, life.signal]) : life.signal;
  const { onBytes, patienceMs } = options;
  const fetchGroup = async ({ plans, ranges }: FetchGroup): Promise<FetchedRecord[]> => {
    const fetchRange = async (range: ByteRange) => ({
      offset: range.offset,
      bytes: await inLane(() => source.read(range.offset, range.length, signal, { onBytes, patienceMs })),
    });
    const read = pieceReader(await Promise.all(ranges.map(fetchRange)));
    return Promise.all(plans.map(async (plan) => ({ plan, bytes: await packRecord(plan, read) })));
  };
  const begun: Promise<FetchedRecord[]>[] = [];
  try {
    for (let i = 0; i < groups.length; i++) {
      for (const group of groups.slice(begun.length, i + N_AHEAD)) {
        const aheadBytes = bytesOf([...groups.slice(i, begun.length), group]);
        if (begun.length > i && aheadBytes > (options.aheadBytes ?? AHEAD_BYTES)) break;
        const records = fetchGroup(group);
        // It may fail before its turn comes, or after an earlier one has failed.
        records.catch(() => undefined);
        begun.push(records);
      }
      const records = await begun[i]!;
      // Handed on, it is the taker's to hold.
      begun[i] = Promise.resolve([]);
      throwIfAborted(options.signal);
      yield records;
    }
  } finally {
    life.abort();
  }
}

/**
 * The records in the order in which their last byte comes, out of one pass over the file. Held are the parts of
 * records that are not whole yet: of experts, up to a layer's.
 */
export async function* fetchFromStream(
  source: ByteSource,
  plans: readonly RecordPlan[],
  options: FetchOptions & { readonly onPiece?: ((bytes: Uint8Array) => void) | undefined },
): AsyncGenerator<FetchedRecord[]> {
  if (!source.stream) throw new InternalError(`${source.name} is no stream.`);
  const parts = plans
    .flatMap((plan) => {
      const whole = { plan, nMissing: sourcesOf(plan).length, pieces: [] as Piece[] };
      return sourcesOf(plan).map(({ offset, sizeBytes }) => ({ offset, sizeBytes, whole }));
    })
    .sort((a, b) => a.offset - b.offset);
  let next = 0;
  let position = 0;
  let open: { piece: Piece; whole: (typeof parts)[number]['whole'] }[] = [];
  for await (const bytes of source.stream(options.signal)) {
    options.onPiece?.(bytes);
    options.onBytes?.(bytes.length);
    const end = position + bytes.length;
    for (; next < parts.length && parts[next]!.offset < end; next++) {
      const { offset, sizeBytes, whole } = parts[next]!;
      open.push({ piece: { offset, bytes: new Uint8Array(sizeBytes) }, whole });
    }
    const done: FetchedRecord[] = [];
    const stillOpen: typeof open = [];
    for (const part of open) {
      const { piece, whole } = part;
      copyOverlap(bytes, position, piece);
      if (piece.offset + piece.bytes.length > end) {
        stillOpen.push(part);
        continue;
      }
      whole.pieces.push(piece);
      if (--whole.nMissing > 0) continue;
      done.push({ plan: whole.plan, bytes: await packRecord(whole.plan, pieceReader(whole.pieces)) });
    }
    open = stillOpen;
    position = end;
    if (done.length > 0) yield done;
  }
}

/** One record by itself, whatever the source can do. */
export async function fetchRecord(
  source: ByteSource,
  plan: RecordPlan,
  options: Pick<FetchOptions, 'signal' | 'patienceMs'>,
): Promise<Uint8Array> {
  const fetch = source.ranges ? fetchByRanges : fetchFromStream;
  for await (const [record] of fetch(source, [plan], options)) if (record) return record.bytes;
  throw new InternalError(`${source.name} ended without ${plan.key}.`);
}

export interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Reads out of pieces of the file that are here; a read may cross from one piece into the next. */
export function pieceReader(pieces: readonly Piece[]) {
  const sorted = [...pieces].sort((a, b) => a.offset - b.offset);
  return async (offset: number, length: number): Promise<Uint8Array> => {
    const inside = sorted.find(
      (piece) => piece.offset <= offset && offset + length <= piece.offset + piece.bytes.length,
    );
    if (inside) return inside.bytes.subarray(offset - inside.offset, offset - inside.offset + length);
    const wanted = { offset, bytes: new Uint8Array(length) };
    for (const piece of sorted) copyOverlap(piece.bytes, piece.offset, wanted);
    return wanted.bytes;
  };
}

function copyOverlap(from: Uint8Array, fromOffset: number, to: Piece): void {
  const start = Math.max(fromOffset, to.offset);
  const end = Math.min(fromOffset + from.length, to.offset + to.bytes.length);
  if (start < end) to.bytes.set(from.subarray(start - fromOffset, end - fromOffset), start - to.offset);
}

function bytesOf(groups: readonly FetchGroup[]): number {
  return groups.reduce((sum, { ranges }) => ranges.reduce((part, { length }) => part + length, sum), 0);
}

/** At most `n` at once; the others wait in order. */
function lanes(n: number) {
  const waiting: (() => void)[] = [];
  let nFree = n;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (nFree > 0) nFree--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else nFree++;
    }
  };
}
