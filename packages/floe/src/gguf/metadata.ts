import type { GgufError } from '../errors/index.ts';
import { invalid, quote } from './fail.ts';
import { describe, type MetadataEntry, type MetadataValue, type NumberArray } from './values.ts';

/** Bounds of a number, both included. */
export interface Range {
  readonly min?: number;
  readonly max?: number;
}

const U32_MAX = 2 ** 32 - 1;

/**
 * A file's metadata. Each getter says which type it expects and throws `gguf/invalid`, naming the key and what stood
 * there, on another: a value is never read as what it isn't. The `optional` ones return undefined for an absent key,
 * and are as strict about a present one.
 */
export class Metadata {
  // A Map and never an object: keys are a stranger's, `__proto__` included.
  readonly #entries: ReadonlyMap<string, MetadataEntry>;

  constructor(entries: ReadonlyMap<string, MetadataEntry>) {
    this.#entries = new Map(entries);
    Object.freeze(this);
  }

  get size(): number {
    return this.#entries.size;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** The value as it is, without a claim about its type. */
  get(key: string): MetadataValue | undefined {
    return this.#entries.get(key)?.value;
  }

  /** The value with the type it has in the file. */
  entry(key: string): MetadataEntry | undefined {
    return this.#entries.get(key);
  }

  /** Keys and entries in file order. */
  entries(): IterableIterator<[string, MetadataEntry]> {
    return this.#entries.entries();
  }

  /** A whole number from 0 to 2^32 - 1, of any integer type: writers don't agree on one. */
  u32(key: string, range: Range = {}): number {
    return toU32(key, this.#required(key), range);
  }

  optionalU32(key: string, range: Range = {}): number | undefined {
    const entry = this.#entries.get(key);
    return entry && toU32(key, entry, range);
  }

  /** A finite f32 or f64. */
  f32(key: string, range: Range = {}): number {
    return toF32(key, this.#required(key), range);
  }

  optionalF32(key: string, range: Range = {}): number | undefined {
    const entry = this.#entries.get(key);
    return entry && toF32(key, entry, range);
  }

  string(key: string): string {
    return toText(key, this.#required(key));
  }

  optionalString(key: string): string | undefined {
    const entry = this.#entries.get(key);
    return entry && toText(key, entry);
  }

  bool(key: string): boolean {
    return toBool(key, this.#required(key));
  }

  optionalBool(key: string): boolean | undefined {
    const entry = this.#entries.get(key);
    return entry && toBool(key, entry);
  }

  strings(key: string): readonly string[] {
    return toStrings(key, this.#required(key));
  }

  optionalStrings(key: string): readonly string[] | undefined {
    const entry = this.#entries.get(key);
    return entry && toStrings(key, entry);
  }

  /** An array of whole numbers from -2^31 to 2^32 - 1, of any integer type. A view of the file's values: don't write. */
  integers(key: string): ArrayLike<number> {
    return toIntegers(key, this.#required(key));
  }

  optionalIntegers(key: string): ArrayLike<number> | undefined {
    const entry = this.#entries.get(key);
    return entry && toIntegers(key, entry);
  }

  /** An array of f32 or f64, which may hold anything a float can. */
  floats(key: string): ArrayLike<number> {
    return toFloats(key, this.#required(key));
  }

  optionalFloats(key: string): ArrayLike<number> | undefined {
    const entry = this.#entries.get(key);
    return entry && toFloats(key, entry);
  }

  /** A u32 for each layer, from an array of `nLayers` or from one number for all: both are in use. */
  u32PerLayer(key: string, nLayers: number, range: Range = {}): readonly number[] {
    const entry = this.#required(key);
    if (!entry.isArray) return Array.from({ length: nLayers }, () => toU32(key, entry, range));
    const values = Array.from(toIntegers(key, entry));
    if (values.length !== nLayers) throw wrong(key, entry, `one number, or one for each of ${nLayers} layers`);
    return values.map((value) => inRange(key, entry, value, { min: 0, max: U32_MAX, ...range }));
  }

  #required(key: string): MetadataEntry {
    const entry = this.#entries.get(key);
    if (!entry) {
      throw invalid(
        `The metadata has no ${quote(key)}.`,
        { key },
        'The file was written by another tool or for another purpose. Convert the model again.',
      );
    }
    return entry;
  }
}

function toU32(key: string, entry: MetadataEntry, range: Range): number {
  if (!isInteger(entry) || entry.isArray) throw wrong(key, entry, 'a whole number');
  // Compared as it is: a bigint beyond 2^53 would lose digits on its way to a number.
  return inRange(key, entry, entry.value as number | bigint, { min: 0, max: U32_MAX, ...range });
}

function toF32(key: string, entry: MetadataEntry, range: Range): number {
  if (!isFloat(entry) || entry.isArray) throw wrong(key, entry, 'a float');
  if (!Number.isFinite(entry.value)) throw wrong(key, entry, 'a finite number');
  return inRange(key, entry, entry.value as number, range);
}

function inRange(key: string, entry: MetadataEntry, value: number | bigint, range: Range): number {
  const { min = -Infinity, max = Infinity } = range;
  if (value < min || value > max) throw wrong(key, entry, `a number from ${min} to ${max}`);
  return Number(value);
}

function toText(key: string, entry: MetadataEntry): string {
  if (entry.type !== 'string' || entry.isArray) throw wrong(key, entry, 'a string');
  return entry.value as string;
}

function toBool(key: string, entry: MetadataEntry): boolean {
  if (entry.type !== 'bool' || entry.isArray) throw wrong(key, entry, 'a bool');
  return entry.value as boolean;
}

function toStrings(key: string, entry: MetadataEntry): readonly string[] {
  if (entry.type !== 'string' || !entry.isArray) throw wrong(key, entry, 'an array of strings');
  return entry.value as readonly string[];
}

function toIntegers(key: string, entry: MetadataEntry): ArrayLike<number> {
  if (!isInteger(entry) || !entry.isArray) throw wrong(key, entry, 'an array of whole numbers');
  const values = entry.value as NumberArray;
  if (!(values instanceof BigUint64Array || values instanceof BigInt64Array)) return values;
  return Float64Array.from(values as Iterable<bigint> & ArrayLike<bigint>, (value: bigint) => {
    if (value < -(2n ** 31n) || value >= 2n ** 32n) throw wrong(key, entry, 'an array of numbers of 32 bits');
    return Number(value);
  });
}

function toFloats(key: string, entry: MetadataEntry): ArrayLike<number> {
  if (!isFloat(entry) || !entry.isArray) throw wrong(key, entry, 'an array of floats');
  return entry.value as Float32Array | Float64Array;
}

function isInteger({ type }: MetadataEntry): boolean {
  return type[0] === 'u' || type[0] === 'i';
}

function isFloat({ type }: MetadataEntry): boolean {
  return type[0] === 'f';
}

function wrong(key: string, entry: MetadataEntry, expected: string): GgufError {
  return invalid(`${quote(key)} is ${describe(entry)}; it should be ${expected}.`, {
    key,
    found: describe(entry),
    expected,
  });
}
