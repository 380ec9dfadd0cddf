/** The reader's rules for the tensor list, each with what it rejects and the nearest files it accepts. */
import { file, q4, row, rule, sound, withTensor } from './rule.testing.ts';

rule('G8: 1 to 4 dimensions of 1 to 2^40, together below 2^53', {
  rejects: [
    { what: 'no dimension', file: withTensor({ ne: [] }), code: 'gguf/invalid', says: /"a" .*0 dimensions/ },
    {
      what: '5 dimensions',
      file: withTensor({ ne: [32, 1, 1, 1, 1] }),
      code: 'gguf/invalid',
      says: /"a" .*5 dimensions/,
    },
    {
      what: '2^32 - 1 dimensions',
      file: withTensor({ nDims: 2 ** 32 - 1 }),
      code: 'gguf/invalid',
      says: /4294967295 dimensions/,
    },
    { what: 'a dimension of 0', file: withTensor({ ne: [32, 0] }), code: 'gguf/invalid', says: /"a" .*dimension of 0/ },
    {
      what: 'a dimension of 2^63',
      file: withTensor({ ne: [2n ** 63n] }),
      code: 'gguf/invalid',
      says: /dimension of 9223372036854775808/,
    },
    {
      what: '2^32 to the fourth',
      file: withTensor({ ne: Array(4).fill(2 ** 32) }),
      code: 'gguf/invalid',
      says: /"a" .*340282366920938463463374607431768211456 weights/,
    },
  ],
  accepts: [
    ['1 dimension', sound],
    ['4 dimensions', withTensor({ ne: [2, 2, 2, 4] })],
    ['dimensions of 1', withTensor({ ne: [1, 1, 1, 1], data: new Uint8Array(4) })],
  ],
});

rule('G9: a type Floe runs, and rows of whole blocks', {
  rejects: [
    {
      what: 'the removed type 4',
      file: withTensor({ type: 4 }),
      code: 'gguf/unsupported-type',
      says: /"a" .*type 4, which ggml does not have; Floe runs F32/,
    },
    { what: 'type 9999', file: withTensor({ type: 9999 }), code: 'gguf/unsupported-type', says: /type 9999/ },
    {
      what: 'Q8_K',
      file: withTensor({ type: 15, ne: [256], data: new Uint8Array(292) }),
      code: 'gguf/unsupported-type',
      says: /"a" .*type Q8_K/,
    },
    {
      what: 'a Q4_0 row of 31',
      file: withTensor({ type: 2, ne: [31] }),
      code: 'gguf/invalid',
      says: /"a" is Q4_0 with rows of 31/,
    },
    {
      what: 'a Q8_0 row of 48',
      file: withTensor({ type: 8, ne: [48, 2] }),
      code: 'gguf/invalid',
      says: /"a" is Q8_0 with rows of 48/,
    },
  ],
  accepts: [
    ['Q4_0 rows of 32', file({ tensors: [q4(3)] })],
    ['an F16 row of 5', withTensor({ type: 1, ne: [5], data: new Uint8Array(10) })],
  ],
});

rule('G10: tensors follow each other without gap or overlap, and end within the file', {
  rejects: [
    {
      what: 'a tensor that ends one byte behind the file',
      file: sound.subarray(0, -1),
      code: 'gguf/out-of-bounds',
      says: /"a" needs/,
    },
    {
      what: 'a tensor larger than the file',
      file: withTensor({ ne: [2 ** 40] }),
      code: 'gguf/out-of-bounds',
      says: /"a" needs the file to reach byte 4398046511104/,
    },
    {
      what: 'an offset of 2^63',
      file: withTensor({ offset: 2n ** 63n }),
      code: 'gguf/invalid',
      says: /"a".*9223372036854775808/,
    },
    {
      what: 'an offset that is not aligned',
      file: file({ tensors: [q4(1), { ...row, offset: 18 }] }),
      code: 'gguf/invalid',
      says: /"a".*starts at 18 .*must be 32/,
    },
    {
      what: 'two tensors over each other',
      file: file({ tensors: [row, { ...row, name: 'b', offset: 0 }] }),
      code: 'gguf/invalid',
      says: /"b".*starts at 0 .*must be 128/,
    },
    {
      what: 'a gap',
      file: file({ tensors: [row, { ...row, name: 'b', offset: 160 }] }),
      code: 'gguf/invalid',
      says: /"b".*starts at 160 .*must be 128/,
    },
    {
      what: 'a first tensor that does not start the data',
      file: withTensor({ offset: 32 }),
      code: 'gguf/invalid',
      says: /"a".*starts at 32 .*must be 0/,
    },
  ],
  accepts: [
    ['a tensor that ends with the file', sound],
    ['a tensor whose padding the file leaves out', file({ tensors: [q4(1)] }).subarray(0, -14)],
    ['tensors padded to the alignment', file({ tensors: [q4(1), row] })],
  ],
});
