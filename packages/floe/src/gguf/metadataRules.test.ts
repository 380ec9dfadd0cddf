/** The reader's rules for metadata, each with what it rejects and the nearest files it accepts. */
import { arrayValue, kv, number, rawGguf, text } from '@floe/testkit/rawGguf';
import { aligned, file, row, rule, u8, withKv, withTensor } from './rule.testing.ts';

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
