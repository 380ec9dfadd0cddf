/**
 * A GGUF file from its pieces, right or wrong: every field can be made to say anything. What is not overridden is
 * right. `ggufWriter.ts` builds sound files with it, the reader's tests broken ones.
 */

/** Value types by their number in the file. */
export const valueTypes = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;
export type ValueType = keyof typeof valueTypes;
export type ElementType = Exclude<ValueType, 'array'>;

export interface RawTensor {
  readonly name: string | Uint8Array;
  /** As in the file: `ne[0]` is the row's length. */
  readonly ne: readonly (number | bigint)[];
  readonly type: number;
  /** From the start of the data section; default: behind the tensor before it, aligned. */
  readonly offset?: number | bigint;
  /** Its bytes; shorter or longer than its shape says, if a test wants that. */
  readonly data: Uint8Array;
  /** Default: as many as `ne` has. */
  readonly nDims?: number;
}

export interface RawGguf {
  readonly magic?: string;
  readonly version?: number;
  readonly nTensors?: number | bigint;
  readonly nKv?: number | bigint;
  /** Each from `kv()`. */
  readonly kvs?: readonly Uint8Array[];
  readonly tensors?: readonly RawTensor[];
  /** What tensors are aligned to; says nothing about the key `general.alignment`. */
  readonly alignment?: number;
}

export function rawGguf({
  magic = 'GGUF',
  version = 3,
  kvs = [],
  tensors = [],
  alignment = 32,
  ...counts
}: RawGguf): Uint8Array {
  const header = [
    new TextEncoder().encode(magic),
    number('u32', version),
    number('u64', counts.nTensors ?? tensors.length),
    number('u64', counts.nKv ?? kvs.length),
    ...kvs,
  ];
  const data: Uint8Array[] = [];
  let end = 0;
  for (const tensor of tensors) {
    header.push(text(tensor.name), number('u32', tensor.nDims ?? tensor.ne.length));
    for (const dim of tensor.ne) header.push(number('u64', dim));
    header.push(number('u32', tensor.type), number('u64', tensor.offset ?? end));
    data.push(tensor.data, new Uint8Array(padding(tensor.data.length, alignment)));
    end += tensor.data.length + padding(tensor.data.length, alignment);
  }
  const head = concat(header);
  return concat([head, ...(tensors.length > 0 ? [new Uint8Array(padding(head.length, alignment))] : []), ...data]);
}

/** A metadata entry: its key, the number of its type, its value's bytes. */
export function kv(key: string | Uint8Array, type: ValueType | number, ...value: Uint8Array[]): Uint8Array {
  return concat([text(key), number('u32', typeof type === 'number' ? type : valueTypes[type]), ...value]);
}

/** An array's bytes behind its type: element type, count, elements. */
export function arrayValue(
  elementType: ElementType | number,
  elements: readonly Uint8Array[],
  count: number | bigint = elements.length,
): Uint8Array {
  const type = typeof elementType === 'number' ? elementType : valueTypes[elementType];
  return concat([number('u32', type), number('u64', count), ...elements]);
}

/** A string's bytes: its length, then its UTF-8. `length` makes it lie. */
export function text(value: string | Uint8Array, length?: number | bigint): Uint8Array {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return concat([number('u64', length ?? bytes.length), bytes]);
}

/** A number's bytes, little-endian. */
export function number(type: Exclude<ElementType, 'string'>, value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(
    { u8: 1, i8: 1, bool: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, u64: 8, i64: 8, f64: 8 }[type],
  );
  const view = new DataView(bytes.buffer);
  if (type === 'f32') view.setFloat32(0, Number(value), true);
  else if (type === 'f64') view.setFloat64(0, Number(value), true);
  else if (bytes.length === 8) view.setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true);
  else if (bytes.length === 4) view.setUint32(0, Number(value), true);
  else if (bytes.length === 2) view.setUint16(0, Number(value), true);
  else view.setUint8(0, Number(value));
  return bytes;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function padding(length: number, alignment: number): number {
  return (alignment - (length % alignment)) % alignment;
}
