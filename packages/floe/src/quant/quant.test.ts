import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GgufError } from '../errors/index.ts';
import { fileRowBytes, type QuantFormat, rowStride } from './format.ts';
import { formatByGgmlType, formatByName, formats } from './formats.ts';
import { ggmlTypes } from './ggmlTypes.ts';
import { halfToNumber, numberToHalf } from './half.ts';

/** One block of each format, packed by hand: bytes and the weights they mean. */
const byHand: Record<string, { bytes: number[]; weights: number[] }> = {
  // 0x3fc00000 = 1.5, 0xc0000000 = -2, little-endian.
  F32: { bytes: [0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0], weights: [1.5, -2] },
  // 0x3e00 = 1.5, 0xc000 = -2, 0x0001 = the smallest subnormal, 0x7bff = the largest.
  F16: { bytes: [0x00, 0x3e, 0x00, 0xc0, 0x01, 0x00, 0xff, 0x7b], weights: [1.5, -2, 2 ** -24, 65504] },
  // 0x3fc0 = 1.5, 0xc000 = -2: the upper halves of the F32 above.
  BF16: { bytes: [0xc0, 0x3f, 0x00, 0xc0], weights: [1.5, -2] },
  // d = 0x3800 = 0.5; q = -128, -1, 0, 1, 127, then 27 zeros.
  Q8_0: {
    bytes: [0x00, 0x38, 0x80, 0xff, 0x00, 0x01, 0x7f, ...Array(27).fill(0)],
    weights: [-64, -0.5, 0, 0.5, 63.5, ...Array(27).fill(0)],
  },
  // d = 0xc000 = -2; byte j = q of weight j | q of weight j + 16 << 4; here q = j and 15 - j.
  Q4_0: {
    bytes: [0x00, 0xc0, ...Array.from({ length: 16 }, (_, j) => j | ((15 - j) << 4))],
    weights: Array.from({ length: 32 }, (_, i) => 16 - 2 * (i < 16 ? i : 31 - i)),
  },
};

describe.each(formats.map((format) => [format.name, format] as const))('%s', (name, format) => {
  it('dequantizes a block packed by hand', () => {
    const { bytes, weights } = byHand[name]!;
    expect([...format.dequantize(Uint8Array.from(bytes), weights.length)].map((w) => w + 0)).toEqual(weights);
  });

  it('unpackRow is the inverse of packRow on random rows', () => {
    fc.assert(
      fc.property(randomRow(format), ({ row, nElements }) => {
        const nGroups = rowStride(nElements) / 32;
        const main = new Uint8Array(nGroups * format.mainBytesPer32);
        const side = new Uint8Array(nGroups * format.sideBytesPer32);
        const back = new Uint8Array(row.length);
        format.packRow(row, main, side);
        format.unpackRow(main, side, back);
        expect(back).toEqual(row);
        expect(main.length + side.length).toBeGreaterThanOrEqual(row.length);
      }),
    );
  });

  it('has a main plane of whole 16-byte vectors, and the block size ggml has', () => {
    expect(format.mainBytesPer32 % 16).toBe(0);
    const { name: ggmlName, blockElements, blockBytes } = ggmlTypes.get(format.ggmlType)!;
    expect({ ggmlName, blockElements, blockBytes }).toEqual({
      ggmlName: name,
      blockElements: format.blockElements,
      blockBytes: format.blockBytes,
    });
    expect(format.part).toBe(`unpack_${name.toLowerCase()}`);
  });

  it('is found by its name and its number', () => {
    expect(formatByName(format.name)).toBe(format);
    expect(formatByGgmlType(format.ggmlType)).toBe(format);
  });
});

describe('planes', () => {
  it('a float row that is no multiple of 32 is padded with zeros', () => {
    const format = formatByName('F16');
    const main = new Uint8Array(64);
    format.packRow(new Uint8Array(2 * 5).fill(0xff), main, new Uint8Array());
    expect([...main].indexOf(0)).toBe(10);
    expect(main.subarray(10).every((byte) => byte === 0)).toBe(true);
  });

  it.each(
    (['Q8_0', 'Q4_0'] as const).flatMap((name) => [
      { name, bits: 0x7c00, what: 'infinity' },
      { name, bits: 0xfc00, what: '-infinity' },
      { name, bits: 0x7e00, what: 'NaN' },
    ]),
  )('$name rejects a scale of $what and names its block', ({ name, bits }) => {
    const { pack, row } = twoBlocks(name, bits);
    expect(() => pack(row)).toThrow(GgufError);
    expect(() => pack(row)).toThrow(/Block 1 .*0x/);
  });

  it.each(['Q8_0', 'Q4_0'] as const)('%s accepts the largest finite scale', (name) => {
    const { pack, row } = twoBlocks(name, 0x7bff);
    expect(() => pack(row)).not.toThrow();
  });

  it('a type Floe has no row for is undefined, and still has a size', () => {
    expect(formatByGgmlType(12)).toBeUndefined();
    expect(ggmlTypes.get(12)).toEqual({ name: 'Q4_K', blockElements: 256, blockBytes: 144 });
    expect(ggmlTypes.get(4)).toBeUndefined();
  });
});

describe('halves', () => {
  it('every finite half comes back from its number', () => {
    for (let bits = 0; bits < 65536; bits++) {
      if ((bits & 0x7c00) === 0x7c00) continue;
      if (numberToHalf(halfToNumber(bits)) !== bits) expect.fail(`0x${bits.toString(16)}`);
    }
  });

  // Half way between neighbours goes to the even one; just beyond it does not. 65,520 is half way to infinity.
  it.each([
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [1 + 2 ** -11 + 2 ** -30, 0x3c01],
    [2 - 2 ** -12, 0x4000],
    [2 ** -25, 0],
    [1.5 * 2 ** -24, 2],
    [2 ** -14 - 2 ** -26, 0x0400],
    [65519, 0x7bff],
    [65520, 0x7c00],
    [-0, 0x8000],
  ])('%d rounds to the nearest half, ties to even', (value, bits) => {
    expect(numberToHalf(value)).toBe(bits);
  });
});

function twoBlocks(name: 'Q8_0' | 'Q4_0', scaleBits: number) {
  const format = formatByName(name);
  const row = new Uint8Array(2 * format.blockBytes);
  new DataView(row.buffer).setUint16(format.blockBytes, scaleBits, true);
  const pack = (bytes: Uint8Array) =>
    format.packRow(bytes, new Uint8Array(2 * format.mainBytesPer32), new Uint8Array(2 * format.sideBytesPer32));
  return { pack, row };
}

/** A row of random bytes whose scales, where it has any, are finite. */
function randomRow(format: QuantFormat) {
  return fc.integer({ min: 1, max: 4 * (format.blockElements === 1 ? 40 : 1) }).chain((nBlocks) => {
    const nElements = nBlocks * format.blockElements;
    const nBytes = fileRowBytes(format, nElements);
    return fc.uint8Array({ minLength: nBytes, maxLength: nBytes }).map((row) => {
      if (format.sideBytesPer32 > 0) {
        for (let at = 0; at < nBytes; at += format.blockBytes) row[at + 1] = row[at + 1]! & ~0x40;
      }
      return { row, nElements };
    });
  });
}
