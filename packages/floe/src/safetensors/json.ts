/** Values of the JSON files of a model: strangers' claims, each checked where it is read. */
import { invalid, quote } from './fail.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

const strict = new TextDecoder('utf-8', { fatal: true });

/** The object that a JSON file is. */
export function parseObject(file: string, bytes: Uint8Array): JsonReader {
  let value: Json;
  try {
    value = JSON.parse(strict.decode(bytes)) as Json;
  } catch (cause) {
    throw invalid(`${file} is no JSON: ${cause instanceof Error ? cause.message : String(cause)}.`, { file });
  }
  return JsonReader.of(file, '', value);
}

/** An object with getters that say what they expect, and name file, key and what stood there. `null` counts as absent. */
export class JsonReader {
  private constructor(
    readonly file: string,
    private readonly path: string,
    private readonly fields: JsonObject,
  ) {}

  static of(file: string, path: string, value: Json | undefined): JsonReader {
    if (isObject(value)) return new JsonReader(file, path, value);
    throw wrong(file, path || 'its content', value, 'an object');
  }

  /** The value as it is; undefined where there is none. */
  get(key: string): Json | undefined {
    return Object.hasOwn(this.fields, key) ? (this.fields[key] ?? undefined) : undefined;
  }

  entries(): [key: string, value: Json][] {
    return Object.entries(this.fields).map(([key, value]) => [key, value ?? null]);
  }

  optionalObject(key: string): JsonReader | undefined {
    const value = this.get(key);
    return value === undefined ? undefined : JsonReader.of(this.file, this.at(key), value);
  }

  object(key: string): JsonReader {
    return JsonReader.of(this.file, this.at(key), this.get(key));
  }

  optionalString(key: string): string | undefined {
    const value = this.get(key);
    if (value === undefined || typeof value === 'string') return value;
    throw this.wrong(key, 'a string');
  }

  string(key: string): string {
    return this.optionalString(key) ?? this.missing(key, 'a string');
  }

  optionalBool(key: string): boolean | undefined {
    const value = this.get(key);
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.wrong(key, 'true or false');
  }

  optionalNumber(key: string): number | undefined {
    const value = this.get(key);
    if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value;
    throw this.wrong(key, 'a finite number');
  }

  number(key: string): number {
    return this.optionalNumber(key) ?? this.missing(key, 'a number');
  }

  /** A whole number from 0 to 2^32 - 1. */
  optionalCount(key: string): number | undefined {
    const value = this.get(key);
    if (value === undefined || isCount(value)) return value;
    throw this.wrong(key, 'a whole number');
  }

  count(key: string): number {
    return this.optionalCount(key) ?? this.missing(key, 'a whole number');
  }

  optionalList(key: string): readonly Json[] | undefined {
    const value = this.get(key);
    if (value === undefined || Array.isArray(value)) return value as readonly Json[] | undefined;
    throw this.wrong(key, 'a list');
  }

  wrong(key: string, expected: string) {
    return wrong(this.file, this.at(key), this.get(key), expected);
  }

  private missing(key: string, expected: string): never {
    throw this.wrong(key, expected);
  }

  private at(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

function wrong(file: string, path: string, value: Json | undefined, expected: string) {
  const found = value === undefined ? 'not there' : quote(JSON.stringify(value));
  return invalid(`${file}: ${path} is ${found}; it should be ${expected}.`, { file, key: path, found, expected });
}
