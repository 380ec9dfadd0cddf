import { blockFormat, copyBytes, halfAt } from './blockFormat.ts';
import { packQuants, quantOf, unpackQuants } from './kQuants.ts';

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
  pack: (place) => {
    const { row, at, side, sideAt } = place;
    copyBytes(row, at + 80, side, sideAt, 4);
    copyBytes(row, at, side, sideAt + 4, 16);
    packQuants(place, 16);
  },
  unpack: (place) => {
    const { row, at, side, sideAt } = place;
    copyBytes(side, sideAt, row, at + 80, 4);
    copyBytes(side, sideAt + 4, row, at, 16);
    unpackQuants(place, 16);
  },
  weight: (block, i) => {
    const { bytes, view, at } = block;
    const scale = view.getUint8(at + (i >> 4));
    const q = quantOf(bytes, at + 16, i >> 5, i & 31);
    const [d, dMin] = [halfAt(block, 80), halfAt(block, 82)];
    return d * (scale & 15) * q - dMin * (scale >> 4);
  },
});
