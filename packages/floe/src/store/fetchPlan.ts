/** Which bytes to ask a server for, and in which order. Decides; fetches nothing. */
import type { RecordPlan } from './record.ts';

/** A record whose ranges are this near in the file is asked for with them: a request costs more than these bytes. */
export const GAP_BYTES = 4096;

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** Records that are fetched, packed and stored together. */
export interface FetchGroup {
  readonly plans: readonly RecordPlan[];
  /** Ascending, none longer than the limit. */
  readonly ranges: readonly ByteRange[];
}

/**
 * Cuts the records, in their order, into groups of at most `rangeBytes` of the file (a larger record is a group by
 * itself), and each group into ranges. An expert's three tensors lie far apart, but consecutive experts side by side:
 * a group of experts is three ranges, not three for each.
 */
export function groupRecords(plans: readonly RecordPlan[], rangeBytes: number): FetchGroup[] {
  const groups: RecordPlan[][] = [];
  let groupBytes = Number.POSITIVE_INFINITY;
  for (const plan of plans) {
    const nBytes = fileBytes(plan);
    if (groupBytes + nBytes > rangeBytes) {
      groups.push([]);
      groupBytes = 0;
    }
    groups.at(-1)?.push(plan);
    groupBytes += nBytes;
  }
  return groups.map((group) => ({ plans: group, ranges: rangesOf(group, rangeBytes) }));
}

/** Of one record, in the file. */
export function fileBytes(plan: RecordPlan): number {
  return sourcesOf(plan).reduce((sum, source) => sum + source.sizeBytes, 0);
}

/** The ranges of the file a record is made of. */
export function sourcesOf(plan: RecordPlan) {
  return plan.matrices.flatMap((matrix) => matrix.sources);
}

function rangesOf(plans: readonly RecordPlan[], rangeBytes: number): ByteRange[] {
  const sources = plans.flatMap(sourcesOf).sort((a, b) => a.offset - b.offset);
  const merged: { offset: number; end: number }[] = [];
  for (const { offset, sizeBytes } of sources) {
    const last = merged.at(-1);
    if (last && offset <= last.end + GAP_BYTES) last.end = Math.max(last.end, offset + sizeBytes);
    else merged.push({ offset, end: offset + sizeBytes });
  }
  return merged.flatMap((range) => cut(range, rangeBytes));
}

function cut({ offset, end }: { offset: number; end: number }, rangeBytes: number): ByteRange[] {
  const ranges: ByteRange[] = [];
  for (let at = offset; at < end; at += rangeBytes) ranges.push({ offset: at, length: Math.min(rangeBytes, end - at) });
  return ranges;
}
