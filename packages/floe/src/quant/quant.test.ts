import { randomBlocks } from '@floe/testkit/randomBlocks';
import { seeded } from '@floe/testkit/seeded';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GgufError } from '../errors/index.ts';
import { e4m3ToNumber, numberToE4m3 } from './e4m3.ts';
import { type FormatName, OWN_TYPES, type QuantFormat, rowStride } from './format.ts';
import { formatByGgmlType, formatByName, formats } from './formats.ts';
import { ggmlTypes } from './ggmlTypes.ts';
import { halfToNumber, numberToHalf } from './half.ts';
import { IQ4_TABLE } from './iq4Table.ts';

/** q of weight j in the low nibble of byte j, of weight j + 16 in the high one; here j and 15 - j. */
const NIBBLES = Array.from({ length: 16 }, (_, j) => j | ((15 - j) << 4));

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
  // d = 0.5, m = -2; quants as in Q4_0 above.
  Q4_1: {
    bytes: [0x00, 0x38, 0x00, 0xc0, ...NIBBLES],
    weights: Array.from({ length: 32 }, (_, i) => 0.5 * (i < 16 ? i : 31 - i) - 2),
  },
  // d = -2; the second half has its fifth bit.
  Q5_0: {
    bytes: [0x00, 0xc0, 0, 0, 0xff, 0xff, ...NIBBLES],
    weights: Array.from({ length: 32 }, (_, i) => 2 * (16 - (i < 16 ? i : 31 - i + 16))),
  },
  Q5_1: {
    bytes: [0x00, 0x38, 0x00, 0xc0, 0, 0, 0xff, 0xff, ...NIBBLES],
    weights: Array.from({ length: 32 }, (_, i) => 0.5 * (i < 16 ? i : 31 - i + 16) - 2),
  },
  IQ4_NL: {
    bytes: [0x00, 0x3c, ...NIBBLES],
    weights: [...IQ4_TABLE, ...[...IQ4_TABLE].reverse()],
  },
  // e = 128: the scale 2, of E2M1 0, 0.5, 1, 1.5, 2, 3, 4, 6.
  MXFP4: {
    bytes: [128, ...NIBBLES],
    weights: [
      0,
      1,
      2,
      3,
      4,
      6,
      8,
      12,
      0,
      -1,
      -2,
      -3,
      -4,
      -6,
      -8,
      -12,
      ...[-12, -8, -6, -4, -3, -2, -1, 0, 12, 8, 6, 4, 3, 2, 1, 0],
    ],
  },
  // Scale and minimum of 16 weights: 3 and 2 of the first, 5 and 1 of the third. Quants of each 32: 0, 1, 2, 3. d 1, dMin 0.5.
  Q2_K: {
    bytes: [0x23, 0, 0x15, ...Array(13).fill(0), ...Array(64).fill(0xe4), 0x00, 0x3c, 0x00, 0x38],
    weights: [...Array(16).fill(-1), ...Array(16).fill(0), ...Array(16).fill(4.5), ...Array(208).fill(0)],
  },
  // The first 16 weights have the scale 33 - 32 = 1, all others 0 - 32; the first weight has its third bit. d = 1.
  Q3_K: {
    bytes: [1, ...Array(31).fill(0), ...Array(64).fill(0xe4), 1, ...Array(7).fill(0), 2, 0, 0, 0, 0x00, 0x3c],
    weights: [
      ...[0, ...Array(15).fill(-4), ...Array(16).fill(128)],
      ...[96, 64, 32, 128, 96, 64, 32].flatMap((weight) => Array(32).fill(weight)),
    ],
  },
  // Scale and minimum of 32 weights: 3 and 2 of the first, 5 + 16 and 7 + 32 of the fifth. Quants 1 and 2 in turn. d 1, dMin 0.5.
  Q4_K: {
    bytes: [0x00, 0x3c, 0x00, 0x38, 0x43, 0, 0, 0, 0x82, 0, 0, 0, 0x75, 0, 0, 0, ...Array(128).fill(0x21)],
    weights: [...Array(32).fill(2), ...Array(96).fill(0), ...Array(32).fill(1.5), ...Array(96).fill(0)],
  },
  // The same, with the fifth bits of the first and the fifth 32.
  Q5_K: {
    bytes: [
      ...[0x00, 0x3c, 0x00, 0x38, 0x43, 0, 0, 0, 0x82, 0, 0, 0, 0x75, 0, 0, 0],
      ...[...Array(32).fill(0x11), ...Array(128).fill(0x21)],
    ],
    weights: [...Array(32).fill(50), ...Array(96).fill(0), ...Array(32).fill(337.5), ...Array(96).fill(0)],
  },
  // Low nibbles 1 (first 64 of 128) and 2, upper bits 0, 1, 2, 3 of each 32; scales 1 and, of the last 16, -1. d = 1.
  Q6_K: {
    bytes: [...Array(128).fill(0x21), ...Array(64).fill(0xe4), ...Array(15).fill(1), 0xff, 0x00, 0x3c],
    weights: [
      ...[-31, -15, 2, 18, -31, -15, 2].flatMap((weight) => Array(32).fill(weight)),
      ...[...Array(16).fill(18), ...Array(16).fill(-18)],
    ],
  },
  // Quants of each 32: 0, 1, 2, 3. d = 0x3800 = 0.5.
  TQ2_0: {
    bytes: [...Array(64).fill(0xe4), 0x00, 0x38],
    weights: [-0.5, 0, 0.5, 1, -0.5, 0, 0.5, 1].flatMap((weight) => Array(32).fill(weight)),
  },
  // d = 0x3f000000 = 0.5; 0x38 = 1, 0xb9 = -1.125, 0x01 = the smallest subnormal, 0x07 the largest, 0x7e = 448.
  F8_E4M3: {
    bytes: [0, 0, 0, 0x3f, 0x38, 0xb9, 0x01, 0x07, 0x7e, ...Array(123).fill(0)],
    weights: [0.5, -0.5625, 2 ** -10, 7 * 2 ** -10, 224, ...Array(123).fill(0)],
  },
  // The first 32 weights have the scale 35 - 32 = 3, all others 0 - 32. d = 1.
  IQ4_XS: {
    bytes: [0x00, 0x3c, 2, 0, 3, 0, 0, 0, ...Array(128).fill(0x10)],
    weights: [
      ...[...Array(16).fill(-381), ...Array(16).fill(-312)],
      ...Array.from({ length: 7 }, () => [...Array(16).fill(4064), ...Array(16).fill(3328)]).flat(),
    ],
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
    expect((format.mainBytesPer32 * Math.max(1, format.blockElements / 32)) % 16).toBe(0);
    expect(Number.isInteger(format.sideBytesPer32 * Math.max(1, format.blockElements / 32))).toBe(true);
    expect(format.part).toBe(`unpack_${name.toLowerCase()}`);
    if (format.ggmlType >= OWN_TYPES) return expect(ggmlTypes.has(format.ggmlType)).toBe(false);
    const { name: ggmlName, blockElements, blockBytes } = ggmlTypes.get(format.ggmlType)!;
    expect({ ggmlName, blockElements, blockBytes }).toEqual({
      ggmlName: name,
      blockElements: format.blockElements,
      blockBytes: format.blockBytes,
    });
  });

  it('is found by its name and its number', () => {
    expect(formatByName(format.name)).toBe(format);
    expect(formatByGgmlType(format.ggmlType)).toBe(format);
  });
});

describe('planes', () => {
  const scaled = formats.filter(({ scaleOffsets }) => scaleOffsets.length > 0);

  it('a float row that is no multiple of 32 is padded with zeros', () => {
    const format = formatByName('F16');
    const main = new Uint8Array(64);
    format.packRow(new Uint8Array(2 * 5).fill(0xff), main, new Uint8Array());
    expect([...main].indexOf(0)).toBe(10);
    expect(main.subarray(10).every((byte) => byte === 0)).toBe(true);
  });

  it.each(
    scaled.flatMap(({ name, scaleOffsets }) =>
      scaleOffsets.flatMap((offset) => [
        { name, offset, bits: 0x7c00, what: 'infinity' },
        { name, offset, bits: 0xfc00, what: '-infinity' },
        { name, offset, bits: 0x7e00, what: 'NaN' },
      ]),
    ),
  )('$name rejects a scale of $what at $offset and names its block', ({ name, offset, bits }) => {
    const { pack, row } = twoBlocks(name, offset, bits);
    expect(() => pack(row)).toThrow(GgufError);
    expect(() => pack(row)).toThrow(/Block 1 .*0x/);
  });

  it.each(scaled)('$name accepts the largest finite scale', ({ name, scaleOffsets }) => {
    const { pack, row } = twoBlocks(name, scaleOffsets[0]!, 0x7bff);
    expect(() => pack(row)).not.toThrow();
  });

  it('a type Floe has no row for is undefined, and still has a size', () => {
    expect(formatByGgmlType(16)).toBeUndefined();
    expect(ggmlTypes.get(16)).toEqual({ name: 'IQ2_XXS', blockElements: 256, blockBytes: 66 });
    expect(ggmlTypes.get(4)).toBeUndefined();
  });
});

describe('E4M3', () => {
  it('every number comes back from its value, and 0x7f and 0xff are none', () => {
    for (let byte = 0; byte < 256; byte++) {
      if ((byte & 0x7f) === 0x7f) expect(e4m3ToNumber(byte)).toBeNaN();
      else expect(numberToE4m3(e4m3ToNumber(byte)), `0x${byte.toString(16)}`).toBe(byte);
    }
  });

  // Half way between neighbours goes to the even one; beyond the largest number there is none.
  it.each([
    [1.0625, 0x38],
    [1.1875, 0x3a],
    [1.07, 0x39],
    [15.5, 0x58],
    [2 ** -10, 0],
    [3 * 2 ** -10, 2],
    [7.6 * 2 ** -9, 8],
    [1000, 0x7e],
    [-0, 0x80],
  ])('%d rounds to the nearest, ties to even', (value, byte) => {
    expect(numberToE4m3(value)).toBe(byte);
  });

  it.each([
    { what: 'a scale of infinity', at: 132, bytes: [0, 0, 0x80, 0x7f], rejected: /Block 1 .*scale/ },
    { what: 'a scale of NaN', at: 132, bytes: [1, 0, 0x80, 0xff], rejected: /Block 1 .*scale/ },
    { what: 'a weight of NaN', at: 136 + 127, bytes: [0xff], rejected: /Block 1 .*weight/ },
    { what: 'the largest scale', at: 132, bytes: [0xff, 0xff, 0x7f, 0x7f], rejected: null },
  ])('packing rejects or takes $what', ({ at, bytes, rejected }) => {
    const row = new Uint8Array(264);
    row.set(bytes, at);
    const pack = () => formatByName('F8_E4M3').packRow(row, new Uint8Array(256), new Uint8Array(8));
    if (rejected) expect(pack).toThrow(rejected);
    else expect(pack).not.toThrow();
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

function twoBlocks(name: FormatName, scaleOffset: number, scaleBits: number) {
  const format = formatByName(name);
  const row = new Uint8Array(2 * format.blockBytes);
  new DataView(row.buffer).setUint16(format.blockBytes + scaleOffset, scaleBits, true);
  const nGroups = format.blockElements / 16;
  const pack = (bytes: Uint8Array) =>
    format.packRow(
      bytes,
      new Uint8Array(nGroups * format.mainBytesPer32),
      new Uint8Array(nGroups * format.sideBytesPer32),
    );
  return { pack, row };
}

/** A row of blocks of any bits whose scales, where it has any, are finite. */
function randomRow(format: QuantFormat) {
  const nBlocks = fc.integer({ min: 1, max: 4 * (format.blockElements === 1 ? 40 : 1) });
  return fc.tuple(nBlocks, fc.integer()).map(([nBlocks, seed]) => {
    const nElements = nBlocks * format.blockElements;
    return { row: randomBlocks(format, nElements, seeded(seed)), nElements };
  });
}
