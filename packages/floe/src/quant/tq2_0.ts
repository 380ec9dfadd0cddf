import { blockFormat, copyBytes, halfAt } from './blockFormat.ts';
import { packQuants, quantOf, unpackQuants } from './kQuants.ts';

/**
 * TQ2_0: 256 weights in 66 bytes: 64 bytes of 2-bit quants as in Q2_K, f16 d. w = d·(q - 1), which is -d, 0 or d; q = 3 stands
 * in no file, and would be 2d (ggml, block_tq2_0).
 */
export const tq2_0 = blockFormat({
  name: 'TQ2_0',
  ggmlType: 35,
  blockElements: 256,
  blockBytes: 66,
  mainBytes: 64,
  sideBytes: 2,
  scaleOffsets: [64],
  pack: (place) => {
    copyBytes(place.row, place.at + 64, place.side, place.sideAt, 2);
    packQuants(place, 0);
  },
  unpack: (place) => {
    copyBytes(place.side, place.sideAt, place.row, place.at + 64, 2);
    unpackQuants(place, 0);
  },
  weight: (block, i) => halfAt(block, 64) * (quantOf(block.bytes, block.at, i >> 5, i & 31) - 1),
});
