/** The parts of a split model as one file: the rest of the library does not know that there are parts. */
import { throwIfAborted } from '../../errors/index.ts';
import { type JoinedSplit, joinSplit, readGguf, type SplitPart, splitError } from '../../gguf/index.ts';
import type { Host } from '../../host/index.ts';
import { type ByteSource, checkRange } from '../source.ts';
import { isMissing } from './folder.ts';

/** `model-00002-of-00005.gguf`: numbers count from 1. */
const PART_NAME = /^(.*-)(\d{5})(-of-)(\d{5})(\.gguf)$/i;
/** So many headers are read at once. */
const AT_ONCE = 6;
const PIECE_BYTES = 1 << 20;

/** The names of all parts, from the name of one; null where it is no part's. */
export function partNames(name: string): string[] | null {
  const [, prefix, , of, count, suffix] = PART_NAME.exec(name) ?? [];
  const nParts = Number(count);
  if (!(nParts > 1)) return null;
  return Array.from(
    { length: nParts },
    (_, index) => `${prefix}${String(index + 1).padStart(5, '0')}${of}${count}${suffix}`,
  );
}

/** Opens all parts; `open` opens the one of that index. Costs a request for each header, six at a time. */
export async function openSplit(
  host: Host,
  nParts: number,
  open: (index: number) => Promise<ByteSource>,
  signal?: AbortSignal,
): Promise<ByteSource> {
  const sources: ByteSource[] = [];
  const headers = new Map<SplitPart, ByteSource>();
  const parts: SplitPart[] = [];
  try {
    for (let first = 0; first < nParts; first += AT_ONCE) {
      throwIfAborted(signal);
      const group = Array.from({ length: Math.min(AT_ONCE, nParts - first) }, (_, i) => first + i);
      const opening = group.map((index) =>
        open(index).catch((error: unknown) => Promise.reject(missing(error, index))),
      );
      for (const opened of await Promise.allSettled(opening))
        if (opened.status === 'fulfilled') sources.push(opened.value);
      await Promise.all(opening);
      const read = sources.slice(first).map(async (source) => {
        const options = { clock: host.clock, onSplitPart: 'keep', onUnsupportedType: 'keep' } as const;
        const gguf = await readGguf(source, { ...options, ...(signal ? { signal } : {}) });
        return { name: source.name, gguf };
      });
      for (const [i, part] of (await Promise.all(read)).entries()) {
        parts.push(part);
        headers.set(part, sources[first + i]!);
      }
    }
    const firstPart = parts.find(({ gguf }) => (gguf.metadata.optionalU32('split.no') ?? 0) === 0) ?? parts[0]!;
    const first = await headers.get(firstPart)!.read(0, firstPart.gguf.headerBytes, signal);
    const joined = joinSplit(parts, first);
    return joinedSource(
      joined,
      joined.parts.map((part) => headers.get(part)!),
    );
  } catch (error) {
    await Promise.allSettled(sources.map((source) => source.close()));
    throw error;
  }
}

function missing(error: unknown, index: number): unknown {
  if (!isMissing(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return splitError(`Part ${index + 1} is missing: ${reason}`, { number: index + 1 }, error);
}

function joinedSource({ header, segments, sizeBytes }: JoinedSplit, sources: readonly ByteSource[]): ByteSource {
  const versions = sources.map(({ version }) => version);
  const source: ByteSource = {
    name: sources[0]!.name,
    sizeBytes,
    version: versions.includes(null) ? null : versions.join(' '),
    local: sources.every(({ local }) => local),
    ranges: sources.every(({ ranges }) => ranges),
    get fetchedBytes() {
      return sources.reduce((sum, { fetchedBytes }) => sum + fetchedBytes, 0);
    },
    read: async (offset, length, signal, options) => {
      checkRange(source, offset, length);
      const whole = segments.find((each) => each.offset <= offset && offset + length <= each.offset + each.sizeBytes);
      if (whole && length > 0) {
        return sources[whole.part]!.read(whole.partOffset + offset - whole.offset, length, signal, options);
      }
      const bytes = new Uint8Array(length); // Padding is zeros.
      bytes.set(header.subarray(Math.min(offset, header.length), Math.min(offset + length, header.length)));
      let nearBytes = length;
      const reads = segments.map(async (segment) => {
        const start = Math.max(offset, segment.offset);
        const end = Math.min(offset + length, segment.offset + segment.sizeBytes);
        if (start >= end) return;
        nearBytes -= end - start;
        const from = segment.partOffset + start - segment.offset;
        const { into: _, ...hearing } = options ?? {};
        bytes.set(await sources[segment.part]!.read(from, end - start, signal, hearing), start - offset);
      });
      // Header and padding are not fetched.
      if (nearBytes > 0) options?.onBytes?.(nearBytes);
      await Promise.all(reads);
      return bytes;
    },
    stream: (signal) => streamed({ header, segments, sizeBytes }, sources, signal),
    close: async () => {
      await Promise.all(sources.map((part) => part.close()));
    },
  };
  return source;
}

type Layout = Pick<JoinedSplit, 'header' | 'segments' | 'sizeBytes'>;

async function* streamed(
  { header, segments, sizeBytes }: Layout,
  sources: readonly ByteSource[],
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  yield header;
  let at = header.length;
  for (const { part, offset, partOffset, sizeBytes: segmentBytes } of segments) {
    if (offset > at) yield new Uint8Array(offset - at);
    for await (const piece of stretch(sources[part]!, partOffset, segmentBytes, signal)) yield piece;
    at = offset + segmentBytes;
  }
  if (sizeBytes > at) yield new Uint8Array(sizeBytes - at);
}

/** `length` bytes from `start`, in pieces, of a source of either kind. */
async function* stretch(
  source: ByteSource,
  start: number,
  length: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const end = start + length;
  if (source.ranges || !source.stream) {
    for (let at = start; at < end; at += PIECE_BYTES)
      yield await source.read(at, Math.min(PIECE_BYTES, end - at), signal);
    return;
  }
  let at = 0;
  for await (const piece of source.stream(signal)) {
    const wanted = piece.subarray(Math.max(0, start - at), Math.max(0, end - at));
    if (wanted.length > 0) yield wanted;
    at += piece.length;
    if (at >= end) return;
  }
}
