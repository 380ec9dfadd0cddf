import { type FormatName, formatByName } from '../../floe/src/quant/index.ts';
import { encode } from './encode.ts';
import { arrayValue, type ElementType, kv, number, rawGguf, text } from './rawGguf.ts';

/**
 * A whole number of no type is a u32. Other numbers say which type they are: `{ f32: 1e4 }`, `{ i32: -1 }`; so do
 * arrays of numbers, by being typed arrays.
 */
export type MetadataInput =
  | string
  | boolean
  | number
  | readonly string[]
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | { readonly [T in Exclude<ElementType, 'string' | 'bool'>]?: number | bigint };

export interface TensorInput {
  readonly name: string;
  /** Row-major: the last is the length of a row. */
  readonly shape: readonly number[];
  readonly type: FormatName;
  readonly data: Float32Array | Float64Array;
}

export interface GgufInput {
  readonly version?: 2 | 3;
  readonly metadata: Readonly<Record<string, MetadataInput>>;
  readonly tensors: readonly TensorInput[];
}

/** A sound GGUF file, with weights encoded as ggml's reference encoders do. */
export function writeGguf({ version = 3, metadata, tensors }: GgufInput): Uint8Array {
  return rawGguf({
    version,
    kvs: Object.entries(metadata).map(([key, value]) => entry(key, value)),
    tensors: tensors.map(({ name, shape, type, data }) => {
      const nElements = shape.reduce((total, dim) => total * dim, 1);
      const { ggmlType, blockElements } = formatByName(type);
      if (nElements !== data.length) throw new Error(`${name} [${shape.join(', ')}] got ${data.length} weights`);
      if (shape.at(-1)! % blockElements !== 0) throw new Error(`${name}: rows of ${shape.at(-1)} can't be ${type}`);
      return { name, ne: [...shape].reverse(), type: ggmlType, data: encode(type, data) };
    }),
  });
}

function entry(key: string, value: MetadataInput): Uint8Array {
  if (typeof value === 'string') return kv(key, 'string', text(value));
  if (typeof value === 'boolean') return kv(key, 'bool', number('bool', value ? 1 : 0));
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32) throw new Error(`${key}: say the type of ${value}`);
    return kv(key, 'u32', number('u32', value));
  }
  if (isStrings(value)) {
    return kv(
      key,
      'array',
      arrayValue(
        'string',
        value.map((item) => text(item)),
      ),
    );
  }
  const type = arrayTypes.find(([Class]) => value instanceof Class)?.[1];
  if (type) {
    const items = value as Uint8Array | Float64Array;
    return kv(
      key,
      'array',
      arrayValue(
        type,
        Array.from(items, (item) => number(type, item)),
      ),
    );
  }
  const [scalarType, scalar] = Object.entries(value)[0] as [Exclude<ElementType, 'string'>, number | bigint];
  return kv(key, scalarType, number(scalarType, scalar));
}

const arrayTypes = [
  [Uint8Array, 'u8'],
  [Int8Array, 'i8'],
  [Uint16Array, 'u16'],
  [Int16Array, 'i16'],
  [Uint32Array, 'u32'],
  [Int32Array, 'i32'],
  [Float32Array, 'f32'],
  [Float64Array, 'f64'],
] as const;

function isStrings(value: MetadataInput): value is readonly string[] {
  return Array.isArray(value);
}
