/** A getter returns a value of the type it names, and throws, naming key and finding, on every other. */
import { arrayValue, kv, number, rawGguf, text } from '@floe/testkit/rawGguf';
import { describe, expect, it } from 'vitest';
import { FloeError } from '../errors/index.ts';
import { parseHeader } from './header.ts';
import type { Metadata } from './metadata.ts';

const kvs = {
  u8: kv('u8', 'u8', number('u8', 200)),
  u16: kv('u16', 'u16', number('u16', 3)),
  u32: kv('u32', 'u32', number('u32', 2 ** 32 - 1)),
  u64: kv('u64', 'u64', number('u64', 7)),
  i32: kv('i32', 'i32', number('i32', 5)),
  negative: kv('negative', 'i32', number('i32', -1)),
  'u64 of 2^32': kv('u64 of 2^32', 'u64', number('u64', 2n ** 32n)),
  'u64 of 2^64-1': kv('u64 of 2^64-1', 'u64', number('u64', 2n ** 64n - 1n)),
  f32: kv('f32', 'f32', number('f32', 1e-5)),
  f64: kv('f64', 'f64', number('f64', 0.1)),
  NaN: kv('NaN', 'f32', number('f32', Number.NaN)),
  infinity: kv('infinity', 'f32', number('f32', Infinity)),
  bool: kv('bool', 'bool', number('bool', 1)),
  string: kv('string', 'string', text('Łódź 🚀')),
  strings: kv('strings', 'array', arrayValue('string', [text('a'), text(''), text('\ufeff')])),
  'i32[]': kv('i32[]', 'array', arrayValue('i32', [number('i32', -3), number('i32', 4)])),
  'i64[]': kv('i64[]', 'array', arrayValue('i64', [number('i64', -3), number('i64', 4)])),
  'large i64[]': kv('large i64[]', 'array', arrayValue('i64', [number('i64', 2n ** 40n)])),
  'f32[]': kv('f32[]', 'array', arrayValue('f32', [number('f32', 0.5), number('f32', -Infinity)])),
};
const metadata = metadataOf(rawGguf({ kvs: [kv('general.architecture', 'string', text('x')), ...Object.values(kvs)] }));

describe('u32', () => {
  it.each([
    ['u8', 200],
    ['u16', 3],
    ['u32', 2 ** 32 - 1],
    ['u64', 7],
    ['i32', 5],
  ])('reads a %s', (key, value) => {
    expect(metadata.u32(key)).toBe(value);
    expect(metadata.optionalU32(key)).toBe(value);
  });
  it.each(['negative', 'u64 of 2^32', 'u64 of 2^64-1', 'f32', 'bool', 'string', 'i32[]'])('rejects %s', (key) => {
    rejects(() => metadata.u32(key), key);
    rejects(() => metadata.optionalU32(key), key);
  });
  it('rejects what is out of the range asked for, and accepts its bounds', () => {
    rejects(() => metadata.u32('u64', { min: 8 }), 'u64');
    rejects(() => metadata.u32('u64', { max: 6 }), 'u64');
    expect(metadata.u32('u64', { min: 7, max: 7 })).toBe(7);
  });
});

describe('f32', () => {
  it('reads f32 and f64', () => {
    expect(metadata.f32('f32')).toBe(Math.fround(1e-5));
    expect(metadata.f32('f64')).toBe(0.1);
  });
  it.each(['NaN', 'infinity', 'u32', 'string', 'f32[]'])('rejects %s', (key) => rejects(() => metadata.f32(key), key));
  it('rejects what is out of the range asked for, and accepts its bounds', () => {
    rejects(() => metadata.f32('f64', { max: 0.09 }), 'f64');
    expect(metadata.f32('f64', { min: 0.1, max: 0.1 })).toBe(0.1);
  });
});

describe('string, bool and arrays', () => {
  it('reads each', () => {
    expect(metadata.string('string')).toBe('Łódź 🚀');
    expect(metadata.bool('bool')).toBe(true);
    // A byte order mark is a token like others.
    expect(metadata.strings('strings')).toEqual(['a', '', '\ufeff']);
    expect(Array.from(metadata.integers('i32[]'))).toEqual([-3, 4]);
    expect(Array.from(metadata.integers('i64[]'))).toEqual([-3, 4]);
    expect(Array.from(metadata.floats('f32[]'))).toEqual([0.5, -Infinity]);
  });
  it.each([
    ['string', 'u8'],
    ['string', 'strings'],
    ['bool', 'u8'],
    ['strings', 'string'],
    ['strings', 'i32[]'],
    ['integers', 'f32[]'],
    ['integers', 'large i64[]'],
    ['integers', 'u32'],
    ['floats', 'i32[]'],
    ['floats', 'f32'],
  ] as const)('%s rejects %s', (getter, key) => rejects(() => metadata[getter](key), key));
});

describe('u32PerLayer', () => {
  it('reads one number for all layers, and an array of one for each', () => {
    expect(metadata.u32PerLayer('u16', 2)).toEqual([3, 3]);
    const perLayer = metadataOf(
      rawGguf({
        kvs: [
          kv('general.architecture', 'string', text('x')),
          kv('k', 'array', arrayValue('i32', [number('i32', 8), number('i32', 4)])),
        ],
      }),
    );
    expect(perLayer.u32PerLayer('k', 2)).toEqual([8, 4]);
    rejects(() => perLayer.u32PerLayer('k', 3), 'k');
    rejects(() => perLayer.u32PerLayer('k', 2, { max: 7 }), 'k');
  });
  it('rejects a negative number in an array', () => rejects(() => metadata.u32PerLayer('i32[]', 2), 'i32[]'));
});

describe('absent keys', () => {
  it('optional getters return undefined, the others throw', () => {
    expect(metadata.optionalU32('absent')).toBeUndefined();
    expect(metadata.optionalString('absent')).toBeUndefined();
    expect(metadata.get('absent')).toBeUndefined();
    expect(metadata.has('absent')).toBe(false);
    rejects(() => metadata.u32('absent'), 'absent');
    rejects(() => metadata.string('absent'), 'absent');
    rejects(() => metadata.strings('absent'), 'absent');
  });
  it.each(['__proto__', 'constructor', 'toString'])('%s is absent until the file has it', (key) => {
    expect(metadata.get(key)).toBeUndefined();
    const own = metadataOf(
      rawGguf({ kvs: [kv('general.architecture', 'string', text('x')), kv(key, 'u32', number('u32', 9))] }),
    );
    expect(own.get(key)).toBe(9);
    expect(Object.getPrototypeOf(own)).toBe(Object.getPrototypeOf(metadata));
  });
});

function metadataOf(file: Uint8Array): Metadata {
  const result = parseHeader(file, file.length);
  if (result.kind !== 'done') throw new Error('the whole file was given');
  return result.gguf.metadata;
}

function rejects(get: () => unknown, key: string): void {
  let thrown: unknown;
  try {
    get();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(FloeError);
  expect((thrown as FloeError).code).toBe('gguf/invalid');
  expect((thrown as FloeError).message).toContain(JSON.stringify(key));
}
