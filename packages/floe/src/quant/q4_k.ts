import { nibbleOf, putNibbles } from './bits.ts';
import { blockFormat, copyBytes, halfAt } from './blockFormat.ts';
import { scaleAndMin, setSharedNibble, sharedNibbleOf } from './kQuants.ts';

/**
 * Q4_K: 256 weights in 144 bytes: f16 d and dMin, 12 bytes of a 6-bit scale s and minimum m for each 32, 128 bytes of
 * nibbles. w = d·s·q - dMin·m (ggml, block_q4_K). On the GPU each 32 have their nibbles together; beside them four words as
 * in the file.
 */
export const q4_k = blockFormat({
  name: 'Q4_K',
  ggmlType: 12,
  blockElements: 256,
  blockBytes: 144,
  mainBytes: 128,
  sideBytes: 16,
  scaleOffsets: [0, 2],
  pack: ({ row, at, main, mainAt, side, sideAt }) => {
    copyBytes(row, at, side, sideAt, 16);
    for (let group = 0; group < 8; group++)
      putNibbles(main, mainAt + 16 * group, (element) => sharedNibbleOf(row, at + 16, group, element));
  },
  unpack: ({ row, at, main, mainAt, side, sideAt }) => {
    copyBytes(side, sideAt, row, at, 16);
    row.fill(0, at + 16, at + 144);
    for (let i = 0; i < 256; i++) setSharedNibble(row, at + 16, i, nibbleOf(main, mainAt + 16 * (i >> 5), i & 31));
  },
  weight: (block, i) => {
    const { bytes, at } = block;
    const [scale, min] = scaleAndMin(bytes, at + 4, i >> 5);
    const q = sharedNibbleOf(bytes, at + 16, i >> 5, i & 31);
    const [d, dMin] = [halfAt(block, 0), halfAt(block, 2)];
    return d * scale * q - dMin * min;
  },
});
