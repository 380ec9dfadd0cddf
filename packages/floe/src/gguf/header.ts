import { GgufError, InternalError } from '../errors/index.ts';
import type { Clock } from '../host/index.ts';
import { Budget } from './budget.ts';
import { Cursor, NeedMore } from './cursor.ts';
import { invalid, quote, truncated } from './fail.ts';
import { FrozenMap } from './frozenMap.ts';
import { DEFAULT_ALIGNMENT, FIXED_BYTES, limits, MIN_KV_BYTES, MIN_TENSOR_BYTES } from './limits.ts';
import { Metadata } from './metadata.ts';
import {
  alignUp,
  type ListedTensor,
  type OnUnsupportedType,
  placeTensors,
  readTensor,
  type TensorInfo,
} from './tensors.ts';
import { describe, type MetadataEntry, readEntry } from './values.ts';

/** What a GGUF file says about itself: everything but the weights. Frozen. */
export interface Gguf {
  readonly version: 2 | 3;
  /** `general.architecture`; empty in the second and later parts of a split file, which leave it to the first. */
  readonly architecture: string;
  readonly metadata: Metadata;
  /** By name, in file order. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly alignment: number;
  /** Where the data section starts; `tensors` has absolute offsets already. */
  readonly dataOffset: number;
  /** Of the whole file. */
  readonly sizeBytes: number;
  /** Up to the end of the tensor list. */
  readonly headerBytes: number;
  /** Where each metadata entry lies in the file, by key: from its first byte to behind its last. */
  readonly entryRanges: ReadonlyMap<string, readonly [start: number, end: number]>;
}

export interface ParseOptions {
  /** Default 'throw'. 'keep' lists tensors Floe can't run with `format: null`, for `inspect`. */
  readonly onUnsupportedType?: OnUnsupportedType;
  /** The host's: parsing gives up after two seconds of it. Without one only work and memory are limited. */
  readonly clock?: Pick<Clock, 'now'>;
}

/** `needMore`: call again with at least `bytes` from the file's start. */
export type ParseResult =
  | { readonly kind: 'needMore'; readonly bytes: number }
  | { readonly kind: 'done'; readonly gguf: Gguf };

/**
 * Reads the header of a GGUF file of `fileSize` bytes from `bytes`, its beginning.
 *
 * @throws {GgufError} The message names the offset, key or tensor, and what stood there. Nothing is returned from a
 *   file of which any part is wrong.
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, options: ParseOptions = {}): ParseResult {
  if (!Number.isSafeInteger(fileSize) || bytes.length > fileSize) {
    throw new InternalError(`${bytes.length} bytes were read of a file of ${fileSize}.`);
  }
  const budget = new Budget(options.clock);
  budget.spend(bytes.length);
  try {
    return {
      kind: 'done',
      gguf: readHeader(new Cursor(bytes, fileSize, budget), options.onUnsupportedType ?? 'throw'),
    };
  } catch (thrown) {
    if (thrown instanceof NeedMore) return { kind: 'needMore', bytes: thrown.bytes };
    throw thrown;
  }
}

function readHeader(cursor: Cursor, onUnsupportedType: OnUnsupportedType): Gguf {
  const { fileSize } = cursor;
  const version = readStart(cursor);
  const nTensors = readCount(cursor, 'the number of tensors', limits.nTensors, MIN_TENSOR_BYTES);
  const nKv = readCount(cursor, 'the number of metadata entries', limits.nKv, MIN_KV_BYTES);

  const entries = new Map<string, MetadataEntry>();
  const entryRanges: [string, readonly [number, number]][] = [];
  for (let i = 0; i < nKv; i++) {
    const at = cursor.at;
    const key = cursor.identifier(`the key of metadata entry ${i}`, limits.keyBytes);
    if (entries.has(key))
      throw invalid(`The key ${quote(key)} at byte ${at} is there a second time.`, { key, offset: at });
    entries.set(key, Object.freeze(readEntry(cursor, key)));
    entryRanges.push([key, Object.freeze([at, cursor.at] as const)]);
  }
  const alignment = readAlignment(entries);

  const listed = new Map<string, ListedTensor>();
  for (let i = 0; i < nTensors; i++) {
    const tensor = readTensor(cursor, i, onUnsupportedType);
    if (listed.has(tensor.name)) {
      throw invalid(`The tensor ${quote(tensor.name)} at byte ${tensor.listedAt} is there a second time.`, {
        tensor: tensor.name,
        offset: tensor.listedAt,
      });
    }
    listed.set(tensor.name, tensor);
  }
  const headerBytes = cursor.at;
  const dataOffset = alignUp(headerBytes, alignment);
  const tensors = placeTensors([...listed.values()], dataOffset, alignment, fileSize);

  const metadata = new Metadata(entries);
  return Object.freeze({
    version,
    architecture: readArchitecture(metadata),
    metadata,
    tensors: new FrozenMap(tensors.map((tensor) => [tensor.name, tensor])),
    alignment,
    dataOffset,
    sizeBytes: fileSize,
    headerBytes,
    entryRanges: new FrozenMap(entryRanges),
  });
}

/** Magic and version. The magic first, so that a page of HTML is called what it is and not a short file. */
function readStart(cursor: Cursor): 2 | 3 {
  if (cursor.fileSize < 4) throw truncated('the fixed part of the header', FIXED_BYTES, cursor.fileSize, 0);
  const magic = String.fromCharCode(...[0, 1, 2, 3].map(() => cursor.u8('the magic')));
  if (magic !== 'GGUF') {
    throw new GgufError('gguf/not-gguf', `The file begins with ${quote(magic)} instead of "GGUF".`, {
      remedy: 'This is no GGUF file; an address that answers with a web page looks so too. Check what was opened.',
      details: { found: magic },
    });
  }
  if (cursor.fileSize <= FIXED_BYTES) throw truncated('the header', FIXED_BYTES + 1, cursor.fileSize, 0);
  const version = cursor.u32('the version');
  if (version === 2 || version === 3) return version;
  // In a big-endian file the small number's bytes are the upper ones.
  const bigEndian = version !== 0 && (version & 0xffff) === 0;
  throw new GgufError(
    'gguf/version',
    bigEndian ? 'The file is a big-endian GGUF.' : `The file is GGUF version ${version}; Floe reads 2 and 3.`,
    {
      remedy: bigEndian
        ? 'Take the little-endian file of this model, or convert it: gguf_convert_endian.py MODEL.gguf little.'
        : 'Convert the model with a current llama.cpp.',
      details: { version, bigEndian, offset: 4 },
    },
  );
}

/** A count is believed only as far as the bytes behind it can hold as many. */
function readCount(cursor: Cursor, what: string, limit: number, leastBytes: number): number {
  return cursor.count(what, Math.min(limit, Math.floor((cursor.fileSize - FIXED_BYTES) / leastBytes)));
}

function readAlignment(entries: ReadonlyMap<string, MetadataEntry>): number {
  const entry = entries.get('general.alignment');
  if (!entry) return DEFAULT_ALIGNMENT;
  const { value } = entry;
  const powerOfTwo = typeof value === 'number' && Number.isInteger(Math.log2(value));
  if (entry.type !== 'u32' || entry.isArray || !powerOfTwo || value > limits.alignment) {
    throw invalid(
      `"general.alignment" is ${describe(entry)}; it should be a u32 and a power of two from 1 to ${limits.alignment}.`,
      { key: 'general.alignment', found: describe(entry) },
    );
  }
  return value;
}

function readArchitecture(metadata: Metadata): string {
  const laterPart = (metadata.optionalU32('split.no') ?? 0) > 0;
  return laterPart ? (metadata.optionalString('general.architecture') ?? '') : metadata.string('general.architecture');
}
