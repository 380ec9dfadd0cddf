/** Metadata values: what each type number stands for and how it is read. */
import type { Cursor } from './cursor.ts';
import { invalid, quote } from './fail.ts';
import { limits } from './limits.ts';

export type ScalarType =
  | 'u8'
  | 'i8'
  | 'u16'
  | 'i16'
  | 'u32'
  | 'i32'
  | 'f32'
  | 'bool'
  | 'string'
  | 'u64'
  | 'i64'
  | 'f64';

export type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

/** A 64-bit integer is a bigint; an array of bool is a `Uint8Array` of 0 and 1. */
export type MetadataValue = number | bigint | boolean | string | readonly string[] | NumberArray;

/** A value and the type it had in the file; of an array, that of its elements. */
export interface MetadataEntry {
  readonly type: ScalarType;
  readonly isArray: boolean;
  readonly value: MetadataValue;
}

interface FixedType {
  readonly name: Exclude<ScalarType, 'string'>;
  readonly bytes: number;
  readonly array: new (buffer: ArrayBuffer) => NumberArray;
}

const STRING = 8;
const ARRAY = 9;

/** By number in the file. Typed arrays are little-endian on every machine that has WebGPU, as the file is. */
const fixedTypes: ReadonlyMap<number, FixedType> = new Map<number, FixedType>([
  [0, { name: 'u8', bytes: 1, array: Uint8Array }],
  [1, { name: 'i8', bytes: 1, array: Int8Array }],
  [2, { name: 'u16', bytes: 2, array: Uint16Array }],
  [3, { name: 'i16', bytes: 2, array: Int16Array }],
  [4, { name: 'u32', bytes: 4, array: Uint32Array }],
  [5, { name: 'i32', bytes: 4, array: Int32Array }],
  [6, { name: 'f32', bytes: 4, array: Float32Array }],
  [7, { name: 'bool', bytes: 1, array: Uint8Array }],
  [10, { name: 'u64', bytes: 8, array: BigUint64Array }],
  [11, { name: 'i64', bytes: 8, array: BigInt64Array }],
  [12, { name: 'f64', bytes: 8, array: Float64Array }],
]);

/** The value of `key`, with its type before it. */
export function readEntry(cursor: Cursor, key: string): MetadataEntry {
  const what = `the value of ${quote(key)}`;
  const at = cursor.at;
  const type = cursor.u32(`the type of ${quote(key)}`);
  if (type === ARRAY) return readArray(cursor, key);
  if (type === STRING) return { type: 'string', isArray: false, value: cursor.text(what) };
  const fixed = fixedTypes.get(type);
  if (!fixed) throw unknownType(key, type, at);
  const values = readFixed(cursor, key, fixed, 1);
  const value = values[0]!;
  return { type: fixed.name, isArray: false, value: fixed.name === 'bool' ? value === 1 : value };
}

function readArray(cursor: Cursor, key: string): MetadataEntry {
  const at = cursor.at;
  const type = cursor.u32(`the element type of ${quote(key)}`);
  if (type === ARRAY) {
    throw invalid(`${quote(key)} at byte ${at} is an array of arrays, which no model has.`, { key, offset: at });
  }
  const fixed = fixedTypes.get(type);
  if (!fixed && type !== STRING) throw unknownType(key, type, at);
  const count = cursor.count(`the number of elements of ${quote(key)}`, limits.arrayEntries);
  // A string takes 8 bytes at the least: its length.
  const leastBytes = count * (fixed?.bytes ?? 8);
  if (leastBytes > cursor.left) {
    throw invalid(
      `${quote(key)} at byte ${at} announces ${count} elements, at least ${leastBytes} bytes; the file has ${cursor.left} left.`,
      { key, offset: at, count, leastBytes, leftBytes: cursor.left },
    );
  }
  if (fixed) return { type: fixed.name, isArray: true, value: readFixed(cursor, key, fixed, count) };
  const strings: string[] = [];
  for (let i = 0; i < count; i++) strings.push(cursor.text(`element ${i} of ${quote(key)}`));
  return { type: 'string', isArray: true, value: Object.freeze(strings) };
}

function readFixed(cursor: Cursor, key: string, type: FixedType, count: number): NumberArray {
  const at = cursor.at;
  const values = new type.array(cursor.copy(count * type.bytes, `the value of ${quote(key)}`));
  if (type.name === 'bool') {
    const wrong = (values as Uint8Array).findIndex((value) => value > 1);
    if (wrong >= 0) {
      throw invalid(
        `${quote(key)} at byte ${at + wrong} is a bool with the value ${values[wrong]}; only 0 and 1 are.`,
        {
          key,
          offset: at + wrong,
          found: Number(values[wrong]),
        },
      );
    }
  }
  return values;
}

function unknownType(key: string, type: number, at: number) {
  return invalid(`${quote(key)} at byte ${at} has the value type ${type}; GGUF has 0 to 12.`, {
    key,
    offset: at,
    type,
  });
}

/** What stood there, for a message. */
export function describe(entry: MetadataEntry): string {
  if (entry.isArray) return `an array of ${(entry.value as ArrayLike<unknown>).length} ${entry.type}`;
  return entry.type === 'string' ? `the string ${quote(entry.value as string)}` : `the ${entry.type} ${entry.value}`;
}
