/** Plain encoders of block formats: scales from the greatest weights, quants to the nearest; nothing is searched. */

import { numberToE4m3 } from '../../floe/src/quant/e4m3.ts';
import { type FormatName, halfToNumber, numberToHalf } from '../../floe/src/quant/index.ts';
import { IQ4_TABLE } from '../../floe/src/quant/iq4Table.ts';
import { setQuant, setSharedNibble } from '../../floe/src/quant/kQuants.ts';
import { DOUBLED_E2M1 } from '../../floe/src/quant/mxfp4.ts';

type Weights = Float32Array | Float64Array;
type EncodeBlock = (weights: Weights, bytes: Uint8Array, view: DataView) => void;

export const blockEncoders = {
  Q4_1: inBlocks(32, 20, (w, bytes, view) => {
    const { d, m, q } = affine(w, 15);
    putHalves(view, 0, [d, m]);
    nibbles(bytes, 4, q);
  }),
  Q5_0: inBlocks(32, 22, (w, bytes, view) => {
    const d = rounded(extremeOf(w) / -16);
    const q = quants(w, (x) => (d === 0 ? 16 : x / d + 16), 31);
    putHalves(view, 0, [d]);
    fifthBits(view, 2, q);
    nibbles(bytes, 6, q);
  }),
  Q5_1: inBlocks(32, 24, (w, bytes, view) => {
    const { d, m, q } = affine(w, 31);
    putHalves(view, 0, [d, m]);
    fifthBits(view, 4, q);
    nibbles(bytes, 8, q);
  }),
  IQ4_NL: inBlocks(32, 18, (w, bytes, view) => {
    const d = rounded(extremeOf(w) / -127);
    putHalves(view, 0, [d]);
    nibbles(bytes, 2, named(w, d, IQ4_TABLE));
  }),
  MXFP4: inBlocks(32, 17, (w, bytes) => {
    const exponent = Math.floor(Math.log2(Math.max(Math.abs(extremeOf(w)), 2 ** -120))) - 2 + 127;
    bytes[0] = exponent;
    nibbles(bytes, 1, named(w, 2 ** (exponent - 128), DOUBLED_E2M1));
  }),
  // The largest weight is the largest number.
  F8_E4M3: inBlocks(128, 132, (w, bytes, view) => {
    const scale = Math.fround(Math.abs(extremeOf(w)) / 448);
    view.setFloat32(0, scale, true);
    for (const [i, weight] of w.entries()) bytes[4 + i] = scale === 0 ? 0 : numberToE4m3(weight / scale);
  }),
  TQ2_0: inBlocks(256, 66, (w, bytes, view) => {
    const d = rounded(Math.abs(extremeOf(w)));
    putHalves(view, 64, [d]);
    w.forEach((x, i) => {
      setQuant(bytes, 0, i, nearest(x, d, 1, 2));
    });
  }),
  Q2_K: inBlocks(256, 84, (w, bytes, view) => {
    const { d, dMin, scales, mins } = scalesAndMins(w, 16, 3, 15);
    putHalves(view, 80, [d, dMin]);
    for (let j = 0; j < 16; j++) bytes[j] = scales[j]! | (mins[j]! << 4);
    eachWeight(w, 16, 3, d, dMin, scales, mins, (i, q) => setQuant(bytes, 16, i, q));
  }),
  Q3_K: inBlocks(256, 110, (w, bytes, view) => {
    const { d, scales } = signedScales(w, 16, 4, 31);
    putHalves(view, 108, [d]);
    for (let j = 0; j < 16; j++) {
      const scale = scales[j]! + 32;
      bytes[96 + (j & 7)]! |= (scale & 15) << (4 * (j >> 3));
      bytes[104 + (j & 3)]! |= (scale >> 4) << (2 * (j >> 2));
    }
    w.forEach((x, i) => {
      const q = nearest(x, d * scales[i >> 4]!, 4, 7);
      setQuant(bytes, 32, i, q & 3);
      bytes[i & 31]! |= (q >> 2) << (i >> 5);
    });
  }),
  Q4_K: inBlocks(256, 144, (w, bytes, view) => {
    const { d, dMin, scales, mins } = scalesAndMins(w, 32, 15, 63);
    putHalves(view, 0, [d, dMin]);
    putSixBits(bytes, 4, scales, mins);
    eachWeight(w, 32, 15, d, dMin, scales, mins, (i, q) => setSharedNibble(bytes, 16, i, q));
  }),
  Q5_K: inBlocks(256, 176, (w, bytes, view) => {
    const { d, dMin, scales, mins } = scalesAndMins(w, 32, 31, 63);
    putHalves(view, 0, [d, dMin]);
    putSixBits(bytes, 4, scales, mins);
    eachWeight(w, 32, 31, d, dMin, scales, mins, (i, q) => {
      setSharedNibble(bytes, 48, i, q & 15);
      bytes[16 + (i & 31)]! |= (q >> 4) << (i >> 5);
    });
  }),
  Q6_K: inBlocks(256, 210, (w, bytes, view) => {
    const { d, scales } = signedScales(w, 16, 32, 127);
    putHalves(view, 208, [d]);
    scales.forEach((scale, j) => {
      view.setInt8(192 + j, scale);
    });
    w.forEach((x, i) => {
      const q = nearest(x, d * scales[i >> 4]!, 32, 63);
      const [half, r] = [i >> 7, i & 127];
      bytes[64 * half + (r & 63)]! |= (q & 15) << (4 * (r >> 6));
      setQuant(bytes, 128, i, q >> 4);
    });
  }),
  IQ4_XS: inBlocks(256, 136, (w, bytes, view) => {
    const wanted = subBlocks(w, 32).map((sub) => extremeOf(sub) / -127);
    const d = rounded(Math.max(...wanted.map(Math.abs)) / 31);
    putHalves(view, 0, [d]);
    let high = 0;
    for (const [j, sub] of subBlocks(w, 32).entries()) {
      const scale = d === 0 ? 0 : Math.round(wanted[j]! / d);
      bytes[4 + (j >> 1)]! |= ((scale + 32) & 15) << (4 * (j & 1));
      high |= ((scale + 32) >> 4) << (2 * j);
      nibbles(bytes, 8 + 16 * j, named(sub, d * scale, IQ4_TABLE));
    }
    view.setUint16(2, high, true);
  }),
} satisfies Partial<Record<FormatName, (weights: Weights) => Uint8Array>>;

function inBlocks(blockElements: number, blockBytes: number, encodeBlock: EncodeBlock) {
  return (weights: Weights): Uint8Array => {
    const nBlocks = weights.length / blockElements;
    if (!Number.isInteger(nBlocks))
      throw new Error(`${weights.length} weights are no whole blocks of ${blockElements}`);
    const bytes = new Uint8Array(nBlocks * blockBytes);
    for (let i = 0; i < nBlocks; i++) {
      const block = bytes.subarray(i * blockBytes, (i + 1) * blockBytes);
      const view = new DataView(block.buffer, block.byteOffset, blockBytes);
      encodeBlock(weights.subarray(i * blockElements, (i + 1) * blockElements), block, view);
    }
    return bytes;
  };
}

/** The value of an f16 next to it. */
function rounded(value: number): number {
  return halfToNumber(numberToHalf(value));
}

function putHalves(view: DataView, at: number, values: readonly number[]): void {
  for (const [i, value] of values.entries()) view.setUint16(at + 2 * i, numberToHalf(value), true);
}

/** The weight of the largest magnitude. */
function extremeOf(weights: Weights): number {
  let extreme = 0;
  for (const weight of weights) if (Math.abs(weight) > Math.abs(extreme)) extreme = weight;
  return extreme;
}

function quants(weights: Weights, scaled: (weight: number) => number, most: number): number[] {
  return Array.from(weights, (weight) => Math.min(most, Math.max(0, Math.round(scaled(weight)))));
}

function nearest(weight: number, scale: number, zero: number, most: number): number {
  return scale === 0 ? zero : Math.min(most, Math.max(0, Math.round(weight / scale) + zero));
}

function affine(weights: Weights, most: number): { d: number; m: number; q: number[] } {
  const least = Math.min(...weights);
  const [d, m] = [rounded((Math.max(...weights) - least) / most), rounded(least)];
  return { d, m, q: quants(weights, (x) => (d === 0 ? 0 : (x - m) / d), most) };
}

function nibbles(bytes: Uint8Array, at: number, q: readonly number[]): void {
  for (let j = 0; j < 16; j++) bytes[at + j] = (q[j]! & 15) | ((q[j + 16]! & 15) << 4);
}

function fifthBits(view: DataView, at: number, q: readonly number[]): void {
  view.setUint32(
    at,
    q.reduce((bits, value, i) => (bits | ((value >> 4) << i)) >>> 0, 0),
    true,
  );
}

/** Of each weight the index of the table's entry next to it. */
function named(weights: Weights, scale: number, table: readonly number[]): number[] {
  return Array.from(weights, (weight) => {
    const distance = (entry: number) => Math.abs(weight - scale * entry);
    return table.reduce((best, entry, i) => (distance(entry) < distance(table[best]!) ? i : best), 0);
  });
}

function subBlocks(weights: Weights, size: number): Weights[] {
  return Array.from({ length: weights.length / size }, (_, j) => weights.subarray(j * size, (j + 1) * size));
}

/** Scales and minima of parts of a block, in units of the block's own two. */
function scalesAndMins(weights: Weights, size: number, most: number, mostScale: number) {
  const parts = subBlocks(weights, size).map((part) => {
    const min = Math.max(0, -Math.min(...part));
    return { min, scale: (Math.max(...part) + min) / most };
  });
  const d = rounded(Math.max(...parts.map(({ scale }) => scale)) / mostScale);
  const dMin = rounded(Math.max(...parts.map(({ min }) => min)) / mostScale);
  const units = (value: number, unit: number) => (unit === 0 ? 0 : Math.min(mostScale, Math.round(value / unit)));
  return {
    ...{ d, dMin },
    scales: parts.map(({ scale }) => units(scale, d)),
    mins: parts.map(({ min }) => units(min, dMin)),
  };
}

function signedScales(weights: Weights, size: number, levels: number, mostScale: number) {
  const wanted = subBlocks(weights, size).map((part) => extremeOf(part) / -levels);
  const d = rounded(Math.max(...wanted.map(Math.abs)) / mostScale);
  return { d, scales: wanted.map((scale) => (d === 0 ? 0 : Math.round(scale / d))) };
}

function eachWeight(
  weights: Weights,
  size: number,
  most: number,
  d: number,
  dMin: number,
  scales: readonly number[],
  mins: readonly number[],
  put: (i: number, q: number) => void,
): void {
  weights.forEach((weight, i) => {
    const part = Math.floor(i / size);
    put(i, nearest(weight + dMin * mins[part]!, d * scales[part]!, 0, most));
  });
}

/** The 6-bit scales and minima of Q4_K and Q5_K. */
function putSixBits(bytes: Uint8Array, at: number, scales: readonly number[], mins: readonly number[]): void {
  for (let j = 0; j < 4; j++) {
    bytes[at + j] = scales[j]! | ((scales[j + 4]! >> 4) << 6);
    bytes[at + 4 + j] = mins[j]! | ((mins[j + 4]! >> 4) << 6);
    bytes[at + 8 + j] = (scales[j + 4]! & 15) | ((mins[j + 4]! & 15) << 4);
  }
}
