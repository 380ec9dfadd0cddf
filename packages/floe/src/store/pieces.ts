/** The parts of records that are being fetched, and the runs of bytes in which they are asked for. */
import { GAP_BYTES, sourcesOf } from './fetchPlan.ts';
import type { RecordPlan } from './record.ts';

/** A range of the file that a record is made of. It is asked for, and arrives, from its beginning to its end. */
export interface Part {
  /** Of its record. */
  readonly key: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Bytes that were asked for so far. */
  asked: number;
  arrived: number;
}

/** A range of the file to ask for, and what of it belongs where. */
export interface Run {
  readonly offset: number;
  readonly length: number;
  readonly slices: readonly { readonly part: Part; readonly from: number; readonly to: number }[];
}

/** A record's parts, none of which has been asked for. Arrays of `spare` are used where one is as long as a part. */
export function partsOf(plan: RecordPlan, spare: readonly Uint8Array[] = []): Part[] {
  const left = [...spare];
  return sourcesOf(plan).map(({ offset, sizeBytes }) => {
    const place = left.findIndex(({ length }) => length === sizeBytes);
    const bytes = place < 0 ? new Uint8Array(sizeBytes) : left.splice(place, 1)[0]!;
    return { key: plan.key, offset, bytes, asked: 0, arrived: 0 };
  });
}

/** Takes the first bytes not asked for yet, with what follows them closely, up to `mostBytes`; null if all were. */
export function takeRun(parts: readonly Part[], mostBytes: number): Run | null {
  const left = parts.filter((part) => part.asked < part.bytes.length).sort((a, b) => nextOf(a) - nextOf(b));
  const first = left[0];
  if (!first) return null;
  const offset = nextOf(first);
  const slices: { part: Part; from: number; to: number }[] = [];
  let end = offset;
  for (const part of left) {
    const from = part.asked;
    const to = Math.min(part.bytes.length, from + offset + mostBytes - nextOf(part));
    if (nextOf(part) > end + GAP_BYTES || to <= from) break;
    slices.push({ part, from, to });
    part.asked = to;
    end = Math.max(end, part.offset + to);
  }
  return { offset, length: end - offset, slices };
}

/** Where a run's bytes can be put as they arrive: they are all of one part. */
export function placeOf({ slices, length }: Run): Uint8Array | undefined {
  const [only, ...others] = slices;
  if (!only || others.length > 0 || only.to - only.from !== length) return undefined;
  return only.part.bytes.subarray(only.from, only.to);
}

/** Copies a run's bytes into their parts, unless `bytes` is their place there. */
export function deliver({ offset, slices }: Run, bytes: Uint8Array): void {
  for (const { part, from, to } of slices) {
    const at = part.offset + from - offset;
    if (bytes.buffer !== part.bytes.buffer) part.bytes.set(bytes.subarray(at, at + to - from), from);
    part.arrived += to - from;
  }
}

function nextOf(part: Part): number {
  return part.offset + part.asked;
}
