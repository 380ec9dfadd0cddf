import { pairOf, putPairs } from './bits.ts';
import { blockFormat, copyBytes, halfAt } from './blockFormat.ts';
import { quantOf, setQuant } from './kQuants.ts';

/**
 * Q2_K: 256 weights in 84 bytes: 16 bytes of a 4-bit scale s and minimum m for each 16 weights, 64 bytes of 2-bit quants,
 * f16 d and dMin. w = d·s·q - dMin·m (ggml, block_q2_K). Beside the quants five words: d and dMin, then the scales.
 */
export const q2_k = blockFormat({
  name: 'Q2_K',
  ggmlType: 10,
  blockElements: 256,
  blockBytes: 84,
  mainBytes: 64,
  sideBytes: 20,
  scaleOffsets: [80, 82],
  pack: ({ row, at, main, mainAt, side, sideAt }) => {
    copyBytes(row, at + 80, side, sideAt, 4);
    copyBytes(row, at, side, sideAt + 4, 16);
    for (let group = 0; group < 8; group++)
      putPairs(main, mainAt + 8 * group, (element) => quantOf(row, at + 16, group, element));
  },
  unpack: ({ row, at, main, mainAt, side, sideAt }) => {
    copyBytes(side, sideAt, row, at + 80, 4);
    copyBytes(side, sideAt + 4, row, at, 16);
    row.fill(0, at + 16, at + 80);
    for (let i = 0; i < 256; i++) setQuant(row, at + 16, i, pairOf(main, mainAt + 8 * (i >> 5), i & 31));
  },
  weight: (block, i) => {
    const { bytes, view, at } = block;
    const scale = view.getUint8(at + (i >> 4));
    const q = quantOf(bytes, at + 16, i >> 5, i & 31);
    const [d, dMin] = [halfAt(block, 80), halfAt(block, 82)];
    return d * (scale & 15) * q - dMin * (scale >> 4);
  },
});
