/** Rules of a file's header and of the index: each has what it refuses, and a twin that it accepts. */
import { rawSafetensors } from '@floe/testkit/safetensors';
import { describe, expect, it } from 'vitest';
import { FloeError } from '../errors/index.ts';
import { readHeader } from './header.ts';
import { joinShards, parseIndex } from './shards.ts';

const a = { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] };
const b = { dtype: 'F8_E4M3', shape: [4], data_offsets: [24, 28] };
const data = new Uint8Array(28);

const read = (bytes: Uint8Array) =>
  readHeader({ name: 'x.safetensors', sizeBytes: bytes.length, read: async (at, n) => bytes.subarray(at, at + n) });

describe('a header', () => {
  it('gives each tensor its place, in the order of the bytes', async () => {
    const tensors = await read(rawSafetensors({ __metadata__: { format: 'pt' }, b, a }, [data]));
    expect(tensors.map(({ name, shape, sizeBytes }) => [name, shape, sizeBytes])).toEqual([
      ['a', [2, 3], 24],
      ['b', [4], 4],
    ]);
    expect(tensors[1]!.offset).toBe(tensors[0]!.offset + 24);
  });

  it('longer than what is read first is read whole', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 2000 }, (_, i) => [`t${i}`, { dtype: 'U8', shape: [1], data_offsets: [i, i + 1] }]),
    );
    const bytes = rawSafetensors(many, [new Uint8Array(2000)]);
    expect(bytes.length).toBeGreaterThan(100_000);
    expect(await read(bytes)).toHaveLength(2000);
  });

  const sound = rawSafetensors({ a, b }, [data]);
  const withLength = (length: bigint) => {
    const bytes = sound.slice();
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    return bytes;
  };
  it.each<[string, Uint8Array, string, RegExp]>([
    ['an empty file', new Uint8Array(), 'truncated', /0 bytes/],
    ['seven bytes', sound.subarray(0, 7), 'truncated', /length of its header/],
    ['a web page', new TextEncoder().encode('<!doctype html><html>'), 'invalid', /begins with "<!doctyp"/],
    ['a length beyond the file', withLength(1000n), 'truncated', /its header/],
    ['a length of 2^63', withLength(2n ** 63n), 'invalid', /9223372036854775808/],
    ['a length of 1', withLength(1n), 'invalid', /is 1;/],
    ['a header that is no JSON', withLength(9n), 'invalid', /no JSON/],
    ['a header that is a list', rawSafetensors([a], [data]), 'invalid', /an object/],
    ['a byte behind the last tensor', rawSafetensors({ a, b }, [data, new Uint8Array(1)]), 'invalid', /1 bytes behind/],
    ['a byte too few', sound.subarray(0, -1), 'truncated', /its last tensor, "b"/],
    [
      'an overlap',
      rawSafetensors({ a, b: { ...b, data_offsets: [20, 24] } }, [data]),
      'invalid',
      /"b" starts at 20 .*overlaps/,
    ],
    [
      'a hole',
      rawSafetensors({ a, b: { ...b, data_offsets: [26, 30] } }, [data]),
      'invalid',
      /"b" starts at 26 .*2 bytes/,
    ],
    [
      'a shape of other bytes',
      rawSafetensors({ a: { ...a, shape: [3, 3] }, b }, [data]),
      'invalid',
      /36 bytes; it has 24/,
    ],
    [
      'a shape of 2^64 bytes',
      rawSafetensors({ a: { ...a, shape: [2 ** 31, 2 ** 31] }, b }, [data]),
      'invalid',
      /18446744073709551616/,
    ],
    ['a negative dimension', rawSafetensors({ a: { ...a, shape: [-2, -3] }, b }, [data]), 'invalid', /shape/],
    ['half a dimension', rawSafetensors({ a: { ...a, shape: [1.5, 4] }, b }, [data]), 'invalid', /shape/],
    ['no dtype', rawSafetensors({ a: { ...a, dtype: undefined }, b }, [data]), 'invalid', /dtype is not there/],
    ['an unknown dtype', rawSafetensors({ a: { ...a, dtype: 'F7' }, b }, [data]), 'unsupported-type', /"F7"/],
    ['offsets backwards', rawSafetensors({ a: { ...a, data_offsets: [24, 0] }, b }, [data]), 'invalid', /data_offsets/],
    ['three offsets', rawSafetensors({ a: { ...a, data_offsets: [0, 24, 28] }, b }, [data]), 'invalid', /data_offsets/],
    ['a tensor that is a number', rawSafetensors({ a: 7, b }, [data]), 'invalid', /a is "7"/],
  ])('refuses %s', async (_, bytes, code, says) => {
    const error = await read(bytes).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FloeError);
    expect(error).toMatchObject({ code: `safetensors/${code}`, message: expect.stringMatching(says) });
  });

  it('cut or changed anywhere throws a typed error, or reads', async () => {
    for (let at = 0; at < sound.length - data.length; at++) {
      const changed = sound.slice();
      changed[at]! ^= 1 + (at % 255);
      for (const bytes of [sound.subarray(0, at), changed]) {
        const error = await read(bytes).catch((thrown: unknown) => thrown);
        if (!Array.isArray(error)) expect(error, `at ${at}`).toBeInstanceOf(FloeError);
      }
    }
  });
});

describe('an index', () => {
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const place = { dtype: 'F32', shape: [1], offset: 100, sizeBytes: 4 };
  const index = parseIndex(json({ weight_map: { x: 'b.safetensors', y: 'a.safetensors' } }));
  const shards = [
    { file: 'a.safetensors', tensors: [{ ...place, name: 'y' }] },
    { file: 'b.safetensors', tensors: [{ ...place, name: 'x' }] },
  ];

  it('says in which file each tensor is', () => {
    expect(index.files).toEqual(['a.safetensors', 'b.safetensors']);
    expect([...joinShards(shards, index).values()].map(({ name, shard }) => [name, shard])).toEqual([
      ['y', 0],
      ['x', 1],
    ]);
  });

  it.each([
    [{ weight_map: {} }, /0 files/],
    [{ weight_map: { x: '../x.safetensors' } }, /weight_map.x/],
    [{ weight_map: { x: 'https://a.example/x.safetensors' } }, /weight_map.x/],
    [{ weight_map: { x: 'x.bin' } }, /weight_map.x/],
    [{ weight_map: { x: 1 } }, /weight_map.x/],
    [{}, /weight_map is not there/],
    [[], /an object/],
  ])('%j is refused', (value, says) => {
    expect(() => parseIndex(json(value))).toThrow(says);
  });

  it('is refused where files and it contradict each other', () => {
    const [first, second] = shards as [(typeof shards)[0], (typeof shards)[0]];
    expect(() => joinShards([first], index)).toThrow(/b.safetensors has no tensor "x"/);
    const both = { ...second, tensors: [...second.tensors, { ...place, name: 'y' }] };
    expect(() => joinShards([first, both], index)).toThrow(/"y" is in a.safetensors and in b.safetensors/);
    const more = { ...second, tensors: [...second.tensors, { ...place, name: 'z' }] };
    expect(() => joinShards([first, more], index)).toThrow(/"z"; .*does not name it/);
    const swapped = [
      { ...first, tensors: second.tensors },
      { ...second, tensors: first.tensors },
    ];
    expect(() => joinShards(swapped, index)).toThrow(/says it is in b.safetensors/);
  });
});
