import { nibbleOf } from './bits.ts';
import { blockFormat, copyBytes, halfAt } from './blockFormat.ts';

/**
 * Q5_0: 32 weights in 22 bytes: f16 scale d, a word of fifth bits, 16 bytes of nibbles as in Q4_0. w = d·(q - 16) (ggml,
 * block_q5_0). Beside the nibbles three halves: the fifth bits in two, then d.
 */
export const q5_0 = blockFormat({
  name: 'Q5_0',
  ggmlType: 6,
  blockElements: 32,
  blockBytes: 22,
  mainBytes: 16,
  sideBytes: 6,
  scaleOffsets: [0],
  pack: ({ row, at, main, mainAt, side, sideAt }) => {
    copyBytes(row, at + 2, side, sideAt, 4);
    copyBytes(row, at, side, sideAt + 4, 2);
    copyBytes(row, at + 6, main, mainAt, 16);
  },
  unpack: ({ row, at, main, mainAt, side, sideAt }) => {
    copyBytes(side, sideAt, row, at + 2, 4);
    copyBytes(side, sideAt + 4, row, at, 2);
    copyBytes(main, mainAt, row, at + 6, 16);
  },
  weight: (block, i) => {
    const { bytes, view, at } = block;
    const fifth = (view.getUint32(at + 2, true) >>> i) & 1;
    const q = nibbleOf(bytes, at + 6, i) + 16 * fifth;
    return halfAt(block) * (q - 16);
  },
});
