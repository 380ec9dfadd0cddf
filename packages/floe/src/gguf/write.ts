/** Headers of GGUF files that are put together from others. */
import { InternalError } from '../errors/index.ts';
import { DEFAULT_ALIGNMENT } from './limits.ts';
import { alignUp } from './tensors.ts';
import type { MetadataEntry, NumberArray, ScalarType } from './values.ts';

export interface WrittenTensor {
  readonly name: string;
  /** Row-major. */
  readonly shape: readonly number[];
  readonly ggmlType: number;
  /** From the start of the data. */
  readonly relativeOffset: number;
}

const utf8 = new TextEncoder();
const MAGIC = utf8.encode('GGUF');

/** A file's bytes up to the end of its tensor list; `entries` are as `entryBytes()` makes them. */
export function writeHeader(
  version: number,
  entries: readonly Uint8Array[],
  tensors: readonly WrittenTensor[],
): Uint8Array {
  const pieces = [MAGIC, u32(version), u64(tensors.length), u64(entries.length), ...entries];
  for (const { name, shape, ggmlType, relativeOffset } of tensors) {
    const ne = [...shape].reverse().map(u64);
    pieces.push(string(name), u32(ne.length), ...ne, u32(ggmlType), u64(relativeOffset));
  }
  return joined(pieces);
}

/** How a file of tensors one behind the other is laid out. */
export interface GgufLayout {
  readonly header: Uint8Array;
  /** Of each tensor, from the file's start, in the order they were given in. */
  readonly offsets: readonly number[];
  readonly sizeBytes: number;
}

/** Lays out a whole file: its metadata, and its tensors in this order. */
export function layOutGguf(
  metadata: Iterable<readonly [key: string, entry: MetadataEntry]>,
  tensors: readonly (Omit<WrittenTensor, 'relativeOffset'> & { readonly sizeBytes: number })[],
): GgufLayout {
  let end = 0;
  const placed = tensors.map((tensor) => {
    const relativeOffset = alignUp(end, DEFAULT_ALIGNMENT);
    end = relativeOffset + tensor.sizeBytes;
    return { ...tensor, relativeOffset };
  });
  const entries = [...metadata].map(([key, entry]) => entryBytes(key, entry));
  const header = writeHeader(3, entries, placed);
  const dataOffset = alignUp(header.length, DEFAULT_ALIGNMENT);
  return {
    header,
    offsets: placed.map(({ relativeOffset }) => dataOffset + relativeOffset),
    sizeBytes: dataOffset + end,
  };
}

/** Numbers of value types, in the file. */
const TYPES: Readonly<Record<ScalarType, number>> = {
  ...{ u8: 0, i8: 1, u16: 2, i16: 3, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, u64: 10, i64: 11, f64: 12 },
};
const ARRAY = 9;

/** A metadata entry as it stands in a file: of scalars, those that Floe writes. */
function entryBytes(key: string, { type, isArray, value }: MetadataEntry): Uint8Array {
  if (!isArray) return joined([string(key), u32(TYPES[type]), scalar(key, type, value)]);
  const values = value as readonly string[] | NumberArray;
  const items = type === 'string' ? (values as readonly string[]).map(string) : [bytesOf(values as NumberArray)];
  return joined([string(key), u32(ARRAY), u32(TYPES[type]), u64(values.length), ...items]);
}

function scalar(key: string, type: ScalarType, value: MetadataEntry['value']): Uint8Array {
  if (type === 'u32') return u32(value as number);
  if (type === 'f32') return bytesOf(Float32Array.of(value as number));
  if (type === 'bool') return Uint8Array.of(value ? 1 : 0);
  if (type === 'string') return string(value as string);
  throw new InternalError(`${key} was to be written as a ${type}.`);
}

function string(text: string): Uint8Array {
  const bytes = utf8.encode(text);
  return joined([u64(bytes.length), bytes]);
}

function bytesOf({ buffer, byteOffset, byteLength }: NumberArray): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}
