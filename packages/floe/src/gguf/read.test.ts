/** Reading through a source: growing prefixes, what is kept with `format: null`, budgets, and a frozen result. */
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { arrayValue, kv, number, text } from '@floe/testkit/rawGguf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FloeError } from '../errors/index.ts';
import { nodeHost } from '../host/node.ts';
import { fileRowBytes } from '../quant/index.ts';
import { Budget } from './budget.ts';
import { Cursor, NeedMore } from './cursor.ts';
import { parseHeader } from './header.ts';
import { type GgufSource, readGguf } from './read.ts';
import { file, q4, row, sound, withTensor } from './rule.testing.ts';

const MIB = 2 ** 20;

describe('readGguf', () => {
  it('reads each byte of a long header once, in doubling prefixes, and no weights', async () => {
    const long = kv('k', 'string', text(new Uint8Array(3 * MIB)));
    const bytes = file({ kvs: [long], tensors: [{ ...row, ne: [MIB], data: new Uint8Array(4 * MIB) }] });
    const { source, reads } = recorded(bytes);
    const gguf = await readGguf(source);
    // 1 MiB, then what the string needs at once: a little over 3 MiB, then twice that, the file's end.
    expect(reads.length).toBeLessThanOrEqual(3);
    expect(reads.map(({ offset }) => offset)).toEqual(reads.map((_, i) => sum(reads.slice(0, i))));
    expect(sum(reads)).toBeLessThan(7 * MIB);
    expect(gguf.tensors.get('a')).toMatchObject({ shape: [MIB], sizeBytes: 4 * MIB });
    expect(gguf.tensors.get('a')!.offset).toBe(gguf.dataOffset);
  });

  it('gives absolute offsets, row-major shapes, formats and sizes', async () => {
    const gguf = await readGguf(recorded(file({ tensors: [q4(3), { ...row, ne: [2, 4, 4] }] })).source);
    expect(gguf).toMatchObject({ version: 3, architecture: 'llama', alignment: 32 });
    expect(gguf.dataOffset % 32).toBe(0);
    expect(gguf.dataOffset - gguf.headerBytes).toBeLessThan(32);
    expect(gguf.tensors.get('q')).toMatchObject({
      typeName: 'Q4_0',
      ggmlType: 2,
      shape: [3, 32],
      nElements: 96,
      sizeBytes: 54,
      offset: gguf.dataOffset,
    });
    expect(gguf.tensors.get('a')).toMatchObject({ shape: [4, 4, 2], offset: gguf.dataOffset + 64 });
    expect([...gguf.tensors.keys()]).toEqual(['q', 'a']);
  });

  it('reads a Node Buffer within a larger one as it reads its bytes alone', () => {
    const bytes = file({ kvs: [kv('k', 'u32', number('u32', 7)), kv('b', 'bool', number('bool', 1))] });
    const within = Buffer.concat([Buffer.alloc(5, 0xaa), bytes]).subarray(5);
    const result = parseHeader(within, within.length);
    expect(result.kind === 'done' && [result.gguf.metadata.get('k'), result.gguf.metadata.get('b')]).toEqual([7, true]);
  });

  it('rejects a source that returns less than it was asked for', async () => {
    const source = { sizeBytes: sound.length, read: async () => sound.subarray(0, 30) };
    await expect(readGguf(source)).rejects.toMatchObject({ code: 'gguf/truncated' });
  });

  it('stops at a signal before it reads', async () => {
    const { source, reads } = recorded(sound);
    await expect(readGguf(source, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'request/aborted' });
    expect(reads).toEqual([]);
  });
});

describe("onUnsupportedType: 'keep'", () => {
  const q8k = withTensor({ type: 15, ne: [256, 2], data: new Uint8Array(584) });
  it('lists a tensor Floe has no row for, with its size', async () => {
    const gguf = await readGguf(recorded(q8k).source, { onUnsupportedType: 'keep' });
    expect(gguf.tensors.get('a')).toMatchObject({ typeName: 'Q8_K', format: null, sizeBytes: 584, shape: [2, 256] });
  });
  it('still rejects its rows if they are no whole blocks', () => {
    const bytes = withTensor({ type: 12, ne: [128] });
    expect(() => parseHeader(bytes, bytes.length, { onUnsupportedType: 'keep' })).toThrow(FloeError);
  });

  const strange = { name: 'z', ne: [32, 5], type: 77, data: new Uint8Array(70) };
  const kept = (bytes: Uint8Array) => {
    const result = parseHeader(bytes, bytes.length, { onUnsupportedType: 'keep' });
    if (result.kind !== 'done') throw new Error('the header is not whole');
    return result.gguf;
  };
  it.each([4, 9999])('lists a tensor of type %i, which ggml does not have, with its place', (type) => {
    const gguf = kept(withTensor({ ...strange, type }));
    expect(gguf.tensors.get('z')).toMatchObject({
      ggmlType: type,
      typeName: `type ${type}`,
      format: null,
      shape: [5, 32],
      offset: gguf.dataOffset,
    });
  });
  it('measures one of unknown type up to the next tensor, the last up to the end of the file', () => {
    // 70 bytes and what pads them to 32.
    const gguf = kept(file({ tensors: [strange, row, { ...strange, name: 'end', type: 78 }] }));
    const sizes = [...gguf.tensors.values()].map(({ name, sizeBytes, offset }) => [
      name,
      sizeBytes,
      offset - gguf.dataOffset,
    ]);
    expect(sizes.slice(0, 2)).toEqual([
      ['z', 96, 0],
      ['a', 128, 96],
    ]);
    expect(sizes[2]).toEqual(['end', gguf.sizeBytes - gguf.dataOffset - 224, 224]);
  });
  it.each([
    ['that begins where the file ends', withTensor({ ...strange, data: new Uint8Array(0) }), 'gguf/out-of-bounds'],
    ['that is not aligned', file({ tensors: [strange, { ...row, offset: 97 }] }), 'gguf/invalid'],
    ['over the one of unknown type', file({ tensors: [strange, { ...row, offset: 0 }] }), 'gguf/invalid'],
    ['behind the end of the file', file({ tensors: [strange, { ...row, offset: 2n ** 62n }] }), 'gguf/out-of-bounds'],
  ] as const)('still rejects a tensor %s', (_, bytes, code) => {
    expect(() => kept(bytes)).toThrow(expect.objectContaining({ code }));
  });
});

describe('G14: work is limited', () => {
  const strings = file({ kvs: [kv('k', 'array', arrayValue('string', [new Uint8Array(8 * 100_000)], 100_000))] });
  it('gives up when two seconds have passed on the clock', () => {
    let now = 0;
    const clock = { now: () => (now += 1_500) };
    expect(() => parseHeader(strings, strings.length, { clock })).toThrow(/2000 ms/);
  });
  it('accepts the same file from a clock that stands still', () => {
    expect(parseHeader(strings, strings.length, { clock: { now: () => 0 } }).kind).toBe('done');
  });
  it('gives up at 512 MiB of memory, and accepts a byte less', () => {
    const budget = new Budget(undefined);
    budget.spend(512 * MIB - 100);
    // An empty string is 8 bytes of file and more in memory.
    const empty = new Cursor(new Uint8Array(16), 16, budget);
    expect(empty.text('a string')).toBe('');
    budget.spend(52);
    expect(() => empty.text('a string')).toThrow(/512 MiB/);
  });
  it('rejects a header that would go beyond 256 MiB, without asking for it', () => {
    // 70 strings of 4 MiB each, none of which was received: only the first is asked for.
    const one = file({ nKv: 71, kvs: [kv('k', 'string', text('', 4 * MIB))] });
    expect(parseHeader(one, 2 ** 40)).toMatchObject({ kind: 'needMore', bytes: one.length + 4 * MIB });
    const beyond = new Cursor(new Uint8Array(8), 2 ** 40, new Budget(undefined));
    expect(() => beyond.take(256 * MIB + 1, 'x')).toThrow(/256 MiB/);
    expect(() => beyond.take(256 * MIB, 'x')).toThrow(NeedMore);
  });
});

describe('G15: the result is frozen', () => {
  const result = parseHeader(sound, sound.length);
  const gguf = result.kind === 'done' ? result.gguf : undefined;
  it.each([
    ['the file', () => Object.assign(gguf!, { version: 2 })],
    ['a tensor', () => Object.assign(gguf!.tensors.get('a')!, { offset: 0 })],
    ['a shape', () => (gguf!.tensors.get('a')!.shape as number[]).push(1)],
    ['the metadata', () => Object.assign(gguf!.metadata, { u32: () => 0 })],
    ['an entry', () => Object.assign(gguf!.metadata.entry('general.architecture')!, { value: 'x' })],
    ['the tensors', () => Object.assign(gguf!.tensors, { get: () => undefined })],
  ])('%s cannot be changed', (_what, change) => expect(change).toThrow(TypeError));
  it('the map of tensors has no way to add one', () => expect('set' in gguf!.tensors).toBe(false));
});

describe('any damage', () => {
  const model = file({
    kvs: [
      kv(
        'tokens',
        'array',
        arrayValue(
          'string',
          ['a', 'bc', 'def'].map((token) => text(token)),
        ),
      ),
      kv('scores', 'array', arrayValue('f32', [number('f32', 1), number('f32', 2)])),
      kv('flag', 'bool', number('bool', 1)),
    ],
    tensors: [q4(2), row],
  });
  const headerOnly = model.length - 256;

  it('a file cut anywhere is rejected, and its prefix asks for more', () => {
    for (let length = 0; length < model.length; length++) {
      expect(() => parseHeader(model.subarray(0, length), length), `cut at ${length}`).toThrow(FloeError);
      const partial = parseHeader(model.subarray(0, Math.min(length, headerOnly)), model.length);
      if (partial.kind === 'needMore') expect(partial.bytes).toBeGreaterThan(Math.min(length, headerOnly));
    }
    expect(parseHeader(model, model.length).kind).toBe('done');
  });

  it('flipped bits give a result or a FloeError, never another error', () => {
    const flips = fc.array(fc.tuple(fc.nat(model.length - 1), fc.nat(7)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(flips, fc.nat(model.length), (list, length) => {
        const bytes = model.slice();
        for (const [at, bit] of list) bytes[at] = bytes[at]! ^ (1 << bit);
        isResultOrFloeError(bytes);
        isResultOrFloeError(bytes, 'keep');
        isResultOrFloeError(bytes.subarray(0, length));
      }),
      { numRuns: 3000 },
    );
  });

  it('random bytes behind a sound start give a result or a FloeError', () => {
    const start = model.subarray(0, 24);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => isResultOrFloeError(Uint8Array.of(...start, ...bytes))),
      { numRuns: 2000 },
    );
  });
});

const shared = process.env.FLOE_TEST_DATA ?? resolve(import.meta.dirname, '../../../../../shared');
const models = ['models', 'tokenizers'].flatMap((folder) => ggufFiles(join(shared, folder)));
const shipped = ggufFiles(resolve(import.meta.dirname, '../../../testkit/data'));

describe('real files', () => {
  it.each([...shipped, ...models])('reads %s to its last byte', async (path) => {
    const reader = await nodeHost(null).openFile!(path);
    const gguf = await readGguf(reader);
    await reader.close();
    const tokens = gguf.metadata.strings('tokenizer.ggml.tokens');
    expect(tokens.length).toBeGreaterThan(1000);
    for (const tensor of gguf.tensors.values()) {
      const nRows = tensor.nElements / tensor.shape.at(-1)!;
      expect(tensor.sizeBytes).toBe(nRows * fileRowBytes(tensor.format!, tensor.shape.at(-1)!));
    }
    const last = [...gguf.tensors.values()].at(-1);
    // The file states its own length: the last tensor's end, up to padding.
    if (last) expect(gguf.sizeBytes - (last.offset + last.sizeBytes)).toBeLessThan(gguf.alignment);
  });
});

function ggufFiles(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.gguf'))
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function recorded(bytes: Uint8Array): { source: GgufSource; reads: { offset: number; length: number }[] } {
  const reads: { offset: number; length: number }[] = [];
  const read = async (offset: number, length: number) => {
    reads.push({ offset, length });
    return bytes.slice(offset, offset + length);
  };
  return { source: { sizeBytes: bytes.length, read }, reads };
}

function sum(reads: readonly { length: number }[]): number {
  return reads.reduce((total, { length }) => total + length, 0);
}

function isResultOrFloeError(bytes: Uint8Array, onUnsupportedType: 'throw' | 'keep' = 'throw'): void {
  try {
    parseHeader(bytes, bytes.length, { onUnsupportedType });
  } catch (error) {
    expect(error).toBeInstanceOf(FloeError);
    expect((error as FloeError).code).not.toBe('internal');
  }
}
