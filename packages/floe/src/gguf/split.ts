/**
 * Split models: `llama-gguf-split` cuts a GGUF between tensors into parts, each a GGUF with its own tensor list. The
 * first part has all metadata; each has `split.no` (from 0), `split.count` and `split.tensors.count` (of all parts).
 * Joined, they are one GGUF again, so that nothing above knows of parts.
 */
import { GgufError } from '../errors/index.ts';
import { quote } from './fail.ts';
import type { Gguf } from './header.ts';
import { alignUp } from './tensors.ts';
import { type WrittenTensor, writeHeader } from './write.ts';

/** A part whose header was read. */
export interface SplitPart {
  /** For messages. */
  readonly name: string;
  readonly gguf: Gguf;
}

/** A stretch of the joined file that is a stretch of a part. */
export interface SplitSegment {
  /** Index in `parts`. */
  readonly part: number;
  /** In the joined file. */
  readonly offset: number;
  /** In the part's file. */
  readonly partOffset: number;
  readonly sizeBytes: number;
}

/** How the parts make one file. What lies between header and segments, and between segments, is padding. */
export interface JoinedSplit {
  /** In the order of their numbers, whatever order they were given in. */
  readonly parts: readonly SplitPart[];
  /** The joined file's, up to the end of its tensor list. */
  readonly header: Uint8Array;
  readonly segments: readonly SplitSegment[];
  readonly sizeBytes: number;
}

/**
 * Joins the parts of a split model. `firstHeader` is the beginning of the part numbered 0, whose metadata is kept as it
 * is written, but for the entries that say it is a part.
 *
 * @throws {GgufError} `gguf/split`: a part is missing, there twice, or of another model.
 */
export function joinSplit(given: readonly SplitPart[], firstHeader: Uint8Array): JoinedSplit {
  const parts = inOrder(given);
  const { alignment } = parts[0]!.gguf;
  const tensors: WrittenTensor[] = [];
  const sections: { readonly part: number; readonly start: number; readonly sizeBytes: number }[] = [];
  let end = 0;
  for (const [part, { gguf }] of parts.entries()) {
    const start = alignUp(end, alignment);
    for (const info of gguf.tensors.values()) {
      const relativeOffset = start + info.offset - gguf.dataOffset;
      tensors.push({ ...info, relativeOffset });
      end = relativeOffset + info.sizeBytes;
    }
    if (end > start) sections.push({ part, start, sizeBytes: end - start });
  }
  const { version, entryRanges } = parts[0]!.gguf;
  const kept = [...entryRanges].filter(([key]) => !key.startsWith('split.'));
  const entries = kept.map(([, [start, end]]) => firstHeader.subarray(start, end));
  const header = writeHeader(version, entries, tensors);
  const dataOffset = alignUp(header.length, alignment);
  const segments = sections.map(({ part, start, sizeBytes }) => ({
    part,
    offset: dataOffset + start,
    partOffset: parts[part]!.gguf.dataOffset,
    sizeBytes,
  }));
  return { parts, header, segments, sizeBytes: dataOffset + end };
}

/** A `gguf/split` error. */
export function splitError(
  message: string,
  details: Readonly<Record<string, string | number>>,
  cause?: unknown,
): GgufError {
  return new GgufError('gguf/split', message, {
    remedy: 'Give all parts of one model: the address or path of one, with the others beside it, or all files at once.',
    details,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Throws where a header says that it is one of several parts. */
export function refuseLonePart({ metadata }: Gguf): void {
  const count = metadata.optionalU32('split.count') ?? 0;
  if (count < 2) return;
  const number = (metadata.optionalU32('split.no') ?? 0) + 1;
  throw splitError(`This is part ${number} of ${count} of a split model.`, { number, count });
}

/** The parts by their numbers, each there once, all of one model as far as they tell. */
function inOrder(given: readonly SplitPart[]): SplitPart[] {
  const parts: SplitPart[] = [];
  for (const part of given) {
    const { metadata } = part.gguf;
    const count = metadata.optionalU32('split.count') ?? 1;
    if (count !== given.length) {
      throw splitError(`${part.name} is of a model of ${count} parts; ${given.length} were given.`, {
        name: part.name,
        count,
        nParts: given.length,
      });
    }
    const number = metadata.optionalU32('split.no', { max: count - 1 }) ?? 0;
    const other = parts[number];
    if (other) {
      throw splitError(`${other.name} and ${part.name} are both part ${number + 1} of ${count}.`, {
        name: part.name,
        number: number + 1,
      });
    }
    parts[number] = part;
  }
  checkOneModel(parts);
  return parts;
}

function checkOneModel(parts: readonly SplitPart[]): void {
  const first = parts[0]!;
  const names = new Map<string, string>();
  for (const { name, gguf } of parts) {
    const says = (key: string, value: (part: SplitPart) => number) => {
      if (value({ name, gguf }) === value(first)) return;
      throw splitError(`${name} is of another model than ${first.name}: its ${key} is not the same.`, { name, key });
    };
    says('alignment', (part) => part.gguf.alignment);
    says('split.tensors.count', (part) => part.gguf.metadata.optionalU32('split.tensors.count') ?? 0);
    for (const tensor of gguf.tensors.keys()) {
      const other = names.get(tensor);
      if (other !== undefined) {
        throw splitError(`The tensor ${quote(tensor)} is in ${other} and in ${name}.`, { name, tensor });
      }
      names.set(tensor, name);
    }
  }
  const expected = first.gguf.metadata.optionalU32('split.tensors.count');
  if (expected !== undefined && expected !== names.size) {
    throw splitError(`The parts have ${names.size} tensors; ${first.name} says they are ${expected}.`, {
      nTensors: names.size,
      expected,
    });
  }
}
