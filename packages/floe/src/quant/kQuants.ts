/** Where the K formats keep what they have in common (ggml, k_quants). */
import { pairOf, putPairs } from './bits.ts';
import type { BlockPlace } from './blockFormat.ts';

/** The 2-bit quant of an element of a group of 32, of Q2_K and Q3_K: four groups share 32 bytes. */
export function quantOf(bytes: Uint8Array, quants: number, group: number, element: number): number {
  return (bytes[quants + 32 * (group >> 2) + element]! >> (2 * (group & 3))) & 3;
}

/** Its inverse, into bytes that were zero: element i of 256. */
export function setQuant(bytes: Uint8Array, quants: number, i: number, q: number): void {
  bytes[quants + 32 * (i >> 7) + (i & 31)]! |= q << (2 * ((i >> 5) & 3));
}

/** The 2-bit quants of a block, `quants` behind its beginning, into its main plane: 8 bytes for each group of 32. */
export function packQuants({ row, at, main, mainAt }: BlockPlace, quants: number): void {
  for (let group = 0; group < 8; group++)
    putPairs(main, mainAt + 8 * group, (element) => quantOf(row, at + quants, group, element));
}

/** Its inverse. */
export function unpackQuants({ row, at, main, mainAt }: BlockPlace, quants: number): void {
  row.fill(0, at + quants, at + quants + 64);
  for (let i = 0; i < 256; i++) setQuant(row, at + quants, i, pairOf(main, mainAt + 8 * (i >> 5), i & 31));
}

/** The nibble of an element of a group of 32, of Q4_K and Q5_K: two groups share 32 bytes. */
export function sharedNibbleOf(bytes: Uint8Array, quants: number, group: number, element: number): number {
  return (bytes[quants + 32 * (group >> 1) + element]! >> (4 * (group & 1))) & 15;
}

/** Its inverse, into bytes that were zero: element i of 256. */
export function setSharedNibble(bytes: Uint8Array, quants: number, i: number, q: number): void {
  bytes[quants + 32 * (i >> 6) + (i & 31)]! |= q << (4 * ((i >> 5) & 1));
}

/** The 6-bit scale and minimum of a group of Q4_K and Q5_K, from 12 bytes. */
export function scaleAndMin(bytes: Uint8Array, scales: number, group: number): readonly [scale: number, min: number] {
  const at = (i: number) => bytes[scales + i]!;
  if (group < 4) return [at(group) & 63, at(group + 4) & 63];
  return [(at(group + 4) & 15) | ((at(group - 4) >> 6) << 4), (at(group + 4) >> 4) | ((at(group) >> 6) << 4)];
}

/** The 6-bit scale, less 32, of 16 weights of Q3_K, from 12 bytes. */
export function signedScaleOf(bytes: Uint8Array, scales: number, sixteen: number): number {
  const low = (bytes[scales + (sixteen & 7)]! >> (4 * (sixteen >> 3))) & 15;
  const high = (bytes[scales + 8 + (sixteen & 3)]! >> (2 * (sixteen >> 2))) & 3;
  return (low | (high << 4)) - 32;
}
