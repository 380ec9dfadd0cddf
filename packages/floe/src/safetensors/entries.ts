/** Metadata as GGUF has it. */
import type { JsonReader } from './json.ts';

export type Entry =
  | { readonly type: 'u32' | 'f32'; readonly isArray: false; readonly value: number }
  | { readonly type: 'bool'; readonly isArray: false; readonly value: boolean }
  | { readonly type: 'string'; readonly isArray: false; readonly value: string }
  | { readonly type: 'string'; readonly isArray: true; readonly value: readonly string[] }
  | { readonly type: 'f32'; readonly isArray: true; readonly value: Float32Array }
  | { readonly type: 'i32'; readonly isArray: true; readonly value: Int32Array };

/** By key; what is undefined is left out. */
export type Entries = Readonly<Record<string, Entry | undefined>>;

type Optional<T> = T | undefined;

const scalar =
  <T extends 'u32' | 'f32' | 'bool' | 'string', V>(type: T) =>
  (value: Optional<V>) =>
    value === undefined ? undefined : ({ type, isArray: false, value } as const);

export const u32 = scalar<'u32', number>('u32');
export const f32 = scalar<'f32', number>('f32');
export const bool = scalar<'bool', boolean>('bool');
export const text = scalar<'string', string>('string');

export function texts(value: readonly string[]): Entry {
  return { type: 'string', isArray: true, value };
}

export function floats(value: Float32Array): Entry {
  return { type: 'f32', isArray: true, value };
}

export function integers(value: Int32Array): Entry {
  return { type: 'i32', isArray: true, value };
}

/** One key after another of a JSON file, each as an entry of another name. */
export function counts(reader: JsonReader, names: Readonly<Record<string, string>>): Entries {
  return Object.fromEntries(Object.entries(names).map(([key, name]) => [name, u32(reader.optionalCount(key))]));
}
