/** The reader's rules for the fixed part, counts and lengths, each with what it rejects and the nearest files it accepts. */
import { arrayValue, kv, rawGguf, text } from '@floe/testkit/rawGguf';
import { limits } from './limits.ts';
import { file, rule, sound, u8, withKv, withTensor } from './rule.testing.ts';

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

function padded(bytes: Uint8Array, moreBytes: number): Uint8Array {
  const longer = new Uint8Array(bytes.length + moreBytes);
  longer.set(bytes);
  return longer;
}
