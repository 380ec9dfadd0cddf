import { nibbleOf, pairOf, putNibbles, putPairs } from './bits.ts';
import { blockFormat, copyBytes, halfAt } from './blockFormat.ts';
import { quantOf, setQuant } from './kQuants.ts';

/**
 * Q6_K: 256 weights in 210 bytes: 128 bytes of low nibbles, 64 of upper pairs of bits, a signed byte s for each 16, f16 d.
 * w = d·s·(q - 32) (ggml, block_q6_K). Beside the nibbles 21 words: d, the scales in four, and two of upper bits for each 32.
 */
export const q6_k = blockFormat({
  name: 'Q6_K',
  ggmlType: 14,
  blockElements: 256,
  blockBytes: 210,
  mainBytes: 128,
  sideBytes: 84,
  scaleOffsets: [208],
  pack: ({ row, at, main, mainAt, side, sideAt }) => {
    copyBytes(row, at + 208, side, sideAt, 2);
    copyBytes(row, at + 192, side, sideAt + 4, 16);
    for (let group = 0; group < 8; group++) {
      putNibbles(main, mainAt + 16 * group, (element) => lowOf(row, at, group, element));
      putPairs(side, sideAt + 20 + 8 * group, (element) => quantOf(row, at + 128, group, element));
    }
  },
  unpack: ({ row, at, main, mainAt, side, sideAt }) => {
    copyBytes(side, sideAt, row, at + 208, 2);
    copyBytes(side, sideAt + 4, row, at + 192, 16);
    row.fill(0, at, at + 192);
    for (let i = 0; i < 256; i++) {
      const [group, element] = [i >> 5, i & 31];
      const low = nibbleOf(main, mainAt + 16 * group, element);
      row[at + 64 * (group >> 2) + 32 * (group & 1) + element]! |= low << (4 * ((group >> 1) & 1));
      setQuant(row, at + 128, i, pairOf(side, sideAt + 20 + 8 * group, element));
    }
  },
  weight: (block, i) => {
    const { bytes, view, at } = block;
    const q = lowOf(bytes, at, i >> 5, i & 31) + 16 * quantOf(bytes, at + 128, i >> 5, i & 31);
    const d = halfAt(block, 208);
    return d * view.getInt8(at + 192 + (i >> 4)) * (q - 32);
  },
});

/** The low nibble of an element of a group of 32: groups 0 and 2, 1 and 3 of each half share their bytes. */
function lowOf(bytes: Uint8Array, block: number, group: number, element: number): number {
  return (bytes[block + 64 * (group >> 2) + 32 * (group & 1) + element]! >> (4 * ((group >> 1) & 1))) & 15;
}
