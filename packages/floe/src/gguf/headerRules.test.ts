/** The reader's rules for the fixed part and the metadata, each with what it rejects and the nearest files it accepts. */
import { arrayValue, kv, number, rawGguf, text } from '@floe/testkit/rawGguf';
import { limits } from './limits.ts';
import { aligned, file, row, rule, sound, u8, withKv, withTensor } from './rule.testing.ts';

rule('G1: magic, version 2 or 3, little-endian', {
  rejects: [
    {
      what: 'a web page',
      file: new TextEncoder().encode('<!DOCTYPE html><html><body></body></html>'),
      code: 'gguf/not-gguf',
      says: /"<!DO"/,
    },
    { what: 'the magic in lower case', file: file({ magic: 'gguf' }), code: 'gguf/not-gguf', says: /"gguf"/ },
    { what: 'version 1', file: file({ version: 1 }), code: 'gguf/version', says: /version 1;/ },
    { what: 'version 4', file: file({ version: 4 }), code: 'gguf/version', says: /version 4;/ },
    { what: 'version 0', file: file({ version: 0 }), code: 'gguf/version', says: /version 0;/ },
    { what: 'big-endian version 3', file: file({ version: 0x03000000 }), code: 'gguf/version', says: /big-endian/ },
  ],
  accepts: [
    ['version 2', file({ version: 2 })],
    ['version 3', file({ version: 3 })],
  ],
});

rule('G2: the file is longer than its fixed part and holds all its header announces', {
  rejects: [
    { what: 'an empty file', file: new Uint8Array(), code: 'gguf/truncated', says: /byte 0;/ },
    { what: 'the magic alone', file: sound.subarray(0, 4), code: 'gguf/truncated', says: /byte 4;/ },
    { what: '24 bytes', file: rawGguf({}), code: 'gguf/truncated', says: /byte 24;/ },
    {
      what: 'an end within a key',
      file: withKv().subarray(0, 40),
      code: 'gguf/truncated',
      says: /the key of metadata entry 0/,
    },
    {
      what: 'an end within a value',
      file: withKv().subarray(0, -2),
      code: 'gguf/truncated',
      says: /the value of "general.architecture"/,
    },
    {
      what: 'an end within the tensor list',
      file: sound.subarray(0, withKv().length + 16),
      code: 'gguf/truncated',
      says: /tensor "a"/,
    },
  ],
  accepts: [
    ['a file that ends with its metadata', withKv()],
    ['a tensor that ends with the file', sound],
  ],
});

rule('G3: counts are within their caps and what the file has room for', {
  rejects: [
    {
      what: '2^63 metadata entries',
      file: file({ nKv: 2n ** 63n }),
      code: 'gguf/invalid',
      says: /metadata entries .*9223372036854775808/,
    },
    {
      what: 'more metadata entries than fit',
      file: file({ nKv: 1000 }),
      code: 'gguf/invalid',
      says: /is 1000; at most/,
    },
    { what: 'one metadata entry more than there is', file: file({ nKv: 2 }), code: 'gguf/truncated', says: /entry 1/ },
    {
      what: '2^63 tensors',
      file: file({ nTensors: 2n ** 63n }),
      code: 'gguf/invalid',
      says: /tensors .*9223372036854775808/,
    },
    { what: 'more tensors than fit', file: file({ nTensors: 100 }), code: 'gguf/invalid', says: /is 100; at most/ },
    {
      what: '65,537 metadata entries in a file with room',
      file: padded(file({ nKv: 65_537 }), 13 * 70_000),
      code: 'gguf/invalid',
      says: /at most 65536/,
    },
    {
      what: '262,145 tensors in a file with room',
      file: padded(file({ nTensors: 262_145 }), 24 * 263_000),
      code: 'gguf/invalid',
      says: /at most 262144/,
    },
  ],
  accepts: [
    ['no tensor', file({ nTensors: 0 })],
    ['65,536 metadata entries', withKv(...Array.from({ length: 65_535 }, (_, i) => u8(`k${i}`)))],
  ],
});

rule('G4: lengths are within their caps and the file', {
  rejects: [
    {
      what: 'a string of 2^63 bytes',
      file: withKv(kv('k', 'string', text('', 2n ** 63n))),
      code: 'gguf/invalid',
      says: /the value of "k"/,
    },
    {
      what: 'a string of 3 MB in a short file',
      file: withKv(kv('k', 'string', text('', 3_000_000))),
      code: 'gguf/truncated',
      says: /the value of "k"/,
    },
    {
      what: 'a string a byte over 4 MiB',
      file: withKv(kv('k', 'string', text(new Uint8Array(limits.stringBytes + 1)))),
      code: 'gguf/invalid',
      says: /4194305; at most 4194304/,
    },
    {
      what: 'a key a byte over 64 KiB',
      file: withKv(u8('k'.repeat(65_537))),
      code: 'gguf/invalid',
      says: /65537; at most 65536/,
    },
    {
      what: 'a tensor name of 64 bytes',
      file: withTensor({ name: 'n'.repeat(64) }),
      code: 'gguf/invalid',
      says: /64; at most 63/,
    },
    {
      what: 'a million elements from nothing',
      file: withKv(kv('k', 'array', arrayValue('u32', [], 1_000_000))),
      code: 'gguf/invalid',
      says: /1000000 elements, at least 4000000 bytes; the file has 0 left/,
    },
    {
      what: 'a million strings from nothing',
      file: withKv(kv('k', 'array', arrayValue('string', [], 1_000_000))),
      code: 'gguf/invalid',
      says: /1000000 elements, at least 8000000 bytes/,
    },
    {
      what: '2^40 elements',
      file: withKv(kv('k', 'array', arrayValue('u8', [], 2 ** 40))),
      code: 'gguf/invalid',
      says: /1099511627776; at most 4194304/,
    },
  ],
  accepts: [
    ['a string of 4 MiB', withKv(kv('k', 'string', text(new Uint8Array(limits.stringBytes))))],
    ['a key of 64 KiB', withKv(u8('k'.repeat(65_536)))],
    ['a tensor name of 63 bytes', withTensor({ name: 'n'.repeat(63) })],
    [
      'an array of 4 Mi elements',
      withKv(kv('k', 'array', arrayValue('u8', [new Uint8Array(limits.arrayEntries)], limits.arrayEntries))),
    ],
    [
      'an empty array and an empty string',
      withKv(kv('a', 'array', arrayValue('string', [])), kv('s', 'string', text(''))),
    ],
  ],
});

rule('G5: values have a type GGUF has, and arrays do not nest', {
  rejects: [
    {
      what: 'an array of arrays',
      file: withKv(kv('k', 'array', arrayValue(9, [arrayValue('u8', [])]))),
      code: 'gguf/invalid',
      says: /"k" .*array of arrays/,
    },
    {
      what: 'an empty array of arrays',
      file: withKv(kv('k', 'array', arrayValue(9, []))),
      code: 'gguf/invalid',
      says: /"k" .*array of arrays/,
    },
    {
      what: 'value type 13',
      file: withKv(kv('k', 13, new Uint8Array(8))),
      code: 'gguf/invalid',
      says: /"k" .*type 13/,
    },
    {
      what: 'element type 13',
      file: withKv(kv('k', 'array', arrayValue(13, []))),
      code: 'gguf/invalid',
      says: /"k" .*type 13/,
    },
    {
      what: 'a bool of 2',
      file: withKv(kv('k', 'bool', number('u8', 2))),
      code: 'gguf/invalid',
      says: /"k" .*value 2/,
    },
    {
      what: 'an array with a bool of 255',
      file: withKv(kv('k', 'array', arrayValue('bool', [Uint8Array.of(0, 1, 255)], 3))),
      code: 'gguf/invalid',
      says: /"k" .*value 255/,
    },
  ],
  accepts: [
    [
      'an array of each type',
      withKv(
        ...(['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'bool', 'u64', 'i64', 'f64'] as const).map((type) =>
          kv(type, 'array', arrayValue(type, [number(type, 1), number(type, 0)])),
        ),
      ),
    ],
    ['a bool of 0 and one of 1', withKv(kv('a', 'bool', number('bool', 0)), kv('b', 'bool', number('bool', 1)))],
  ],
});

rule('G6: keys and names are UTF-8, not empty, and unique', {
  rejects: [
    { what: 'an empty key', file: withKv(u8('')), code: 'gguf/invalid', says: /key of metadata entry 1 .*empty/ },
    { what: 'a key twice', file: withKv(u8('k'), u8('k')), code: 'gguf/invalid', says: /"k" .*second time/ },
    {
      what: 'a key that is not UTF-8',
      file: withKv(u8(Uint8Array.of(0x6b, 0xff))),
      code: 'gguf/invalid',
      says: /not UTF-8: 6b ff/,
    },
    {
      what: 'an empty tensor name',
      file: withTensor({ name: '' }),
      code: 'gguf/invalid',
      says: /name of tensor 0 .*empty/,
    },
    {
      what: 'a tensor name twice',
      file: file({ tensors: [row, row] }),
      code: 'gguf/invalid',
      says: /"a" .*second time/,
    },
    {
      what: 'a tensor name that is not UTF-8',
      file: withTensor({ name: Uint8Array.of(0xc0, 0xaf) }),
      code: 'gguf/invalid',
      says: /not UTF-8: c0 af/,
    },
  ],
  accepts: [
    ['keys that differ in one byte', withKv(u8('k'), u8('l'))],
    ['keys that are names of Object.prototype', withKv(u8('__proto__'), u8('constructor'), u8('tensor_count'))],
    ['a key that is a tensor name too', file({ kvs: [u8('a')], tensors: [row] })],
    ['a value that is not UTF-8, as tokens may be', withKv(kv('k', 'string', text(Uint8Array.of(0xff))))],
  ],
});

rule('G7: general.alignment is a u32, a power of two, 1 to 65,536', {
  rejects: [
    ...[0, 3, 7, 48, 131_072, 2 ** 31, 2 ** 32 - 1].map((alignment) => ({
      what: `${alignment}`,
      file: withKv(aligned(alignment)),
      code: 'gguf/invalid' as const,
      says: new RegExp(`u32 ${alignment};`),
    })),
    {
      what: 'a u64',
      file: withKv(kv('general.alignment', 'u64', number('u64', 32))),
      code: 'gguf/invalid',
      says: /u64 32;/,
    },
    {
      what: 'a negative i32',
      file: withKv(kv('general.alignment', 'i32', number('i32', -32))),
      code: 'gguf/invalid',
      says: /i32 -32;/,
    },
    {
      what: 'a string',
      file: withKv(kv('general.alignment', 'string', text('32'))),
      code: 'gguf/invalid',
      says: /string "32";/,
    },
    {
      what: 'an array',
      file: withKv(kv('general.alignment', 'array', arrayValue('u32', [number('u32', 32)]))),
      code: 'gguf/invalid',
      says: /array of 1 u32;/,
    },
  ],
  accepts: [
    ...[1, 8, 32, 65_536].map(
      (alignment) =>
        [
          `${alignment}`,
          file({ alignment, kvs: [aligned(alignment)], tensors: [row, { ...row, name: 'b' }] }),
        ] as const,
    ),
  ],
});

rule('general.architecture is there and a string, but for later parts of a split file', {
  rejects: [
    { what: 'none', file: rawGguf({ kvs: [u8('k')] }), code: 'gguf/invalid', says: /no "general.architecture"/ },
    {
      what: 'a number',
      file: rawGguf({ kvs: [u8('general.architecture')] }),
      code: 'gguf/invalid',
      says: /"general.architecture" is the u8 1/,
    },
    {
      what: 'none in the first part',
      file: rawGguf({ kvs: [kv('split.no', 'u16', number('u16', 0))] }),
      code: 'gguf/invalid',
      says: /no "general.architecture"/,
    },
  ],
  accepts: [['none in the second part', rawGguf({ kvs: [kv('split.no', 'u16', number('u16', 1))] })]],
});

function padded(bytes: Uint8Array, moreBytes: number): Uint8Array {
  const longer = new Uint8Array(bytes.length + moreBytes);
  longer.set(bytes);
  return longer;
}
