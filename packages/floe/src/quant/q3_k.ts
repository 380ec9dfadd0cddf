import { bitOf, putBits } from './bits.ts';
import { blockFormat, copyBytes, halfAt } from './blockFormat.ts';
import { packQuants, quantOf, signedScaleOf, unpackQuants } from './kQuants.ts';

/**
 * Q3_K: 256 weights in 110 bytes: 32 bytes of third bits, 64 of 2-bit quants, 12 of 6-bit scales s for each 16 weights, f16 d.
 * w = d·s·(q - 4), q with its third bit (ggml, block_q3_K). Beside the quants twelve words: d, the scales in three, and the
 * third bits of each 32.
 */
export const q3_k = blockFormat({
  name: 'Q3_K',
  ggmlType: 11,
  blockElements: 256,
  blockBytes: 110,
  mainBytes: 64,
  sideBytes: 48,
  scaleOffsets: [108],
  pack: (place) => {
    const { row, at, side, sideAt } = place;
    copyBytes(row, at + 108, side, sideAt, 2);
    copyBytes(row, at + 96, side, sideAt + 4, 12);
    packQuants(place, 32);
    for (let group = 0; group < 8; group++)
      putBits(side, sideAt + 16 + 4 * group, (element) => (row[at + element]! >> group) & 1);
  },
  unpack: (place) => {
    const { row, at, side, sideAt } = place;
    copyBytes(side, sideAt, row, at + 108, 2);
    copyBytes(side, sideAt + 4, row, at + 96, 12);
    unpackQuants(place, 32);
    row.fill(0, at, at + 32);
    for (let i = 0; i < 256; i++) {
      const [group, element] = [i >> 5, i & 31];
      row[at + element]! |= bitOf(side, sideAt + 16 + 4 * group, element) << group;
    }
  },
  weight: (block, i) => {
    const { bytes, view, at } = block;
    const third = (view.getUint8(at + (i & 31)) >> (i >> 5)) & 1;
    const q = quantOf(bytes, at + 32, i >> 5, i & 31) + 4 * third;
    const d = halfAt(block, 108);
    return d * signedScaleOf(bytes, at + 96, i >> 4) * (q - 4);
  },
});
