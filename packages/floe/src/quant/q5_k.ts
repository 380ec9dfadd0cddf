import { bitOf, nibbleOf, putBits, putNibbles } from './bits.ts';
import { blockFormat, copyBytes, halfAt } from './blockFormat.ts';
import { scaleAndMin, setSharedNibble, sharedNibbleOf } from './kQuants.ts';

/**
 * Q5_K: 256 weights in 176 bytes: Q4_K with 32 bytes of fifth bits before the nibbles. w = d·s·q - dMin·m (ggml, block_q5_K).
 * Beside the nibbles twelve words: four as in the file, and the fifth bits of each 32.
 */
export const q5_k = blockFormat({
  name: 'Q5_K',
  ggmlType: 13,
  blockElements: 256,
  blockBytes: 176,
  mainBytes: 128,
  sideBytes: 48,
  scaleOffsets: [0, 2],
  pack: ({ row, at, main, mainAt, side, sideAt }) => {
    copyBytes(row, at, side, sideAt, 16);
    for (let group = 0; group < 8; group++) {
      putNibbles(main, mainAt + 16 * group, (element) => sharedNibbleOf(row, at + 48, group, element));
      putBits(side, sideAt + 16 + 4 * group, (element) => (row[at + 16 + element]! >> group) & 1);
    }
  },
  unpack: ({ row, at, main, mainAt, side, sideAt }) => {
    copyBytes(side, sideAt, row, at, 16);
    row.fill(0, at + 16, at + 176);
    for (let i = 0; i < 256; i++) {
      const [group, element] = [i >> 5, i & 31];
      setSharedNibble(row, at + 48, i, nibbleOf(main, mainAt + 16 * group, element));
      row[at + 16 + element]! |= bitOf(side, sideAt + 16 + 4 * group, element) << group;
    }
  },
  weight: (block, i) => {
    const { bytes, view, at } = block;
    const [scale, min] = scaleAndMin(bytes, at + 4, i >> 5);
    const fifth = (view.getUint8(at + 16 + (i & 31)) >> (i >> 5)) & 1;
    const q = sharedNibbleOf(bytes, at + 48, i >> 5, i & 31) + 16 * fifth;
    const [d, dMin] = [halfAt(block, 0), halfAt(block, 2)];
    return d * scale * q - dMin * min;
  },
});
