import { blocks, copyBytes } from './blocks.ts';
import type { QuantFormat } from './format.ts';
import { halfToNumber } from './half.ts';
import { viewOf } from './planes.ts';

/**
 * Q5_0: 32 weights in 22 bytes: f16 scale d, a word of fifth bits, 16 bytes of nibbles as in Q4_0. w = d·(q - 16) (ggml,
 * block_q5_0). Beside the nibbles three halves: the fifth bits in two, then d.
 */
export const q5_0: QuantFormat = {
  name: 'Q5_0',
  ggmlType: 6,
  part: 'unpack_q5_0',
  ...blocks({
    name: 'Q5_0',
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
  }),
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    return Float64Array.from({ length: nElements }, (_, i) => {
      const block = 22 * Math.floor(i / 32);
      const byte = view.getUint8(block + 6 + (i % 16));
      const fifth = (view.getUint32(block + 2, true) >>> (i % 32)) & 1;
      const q = (i % 32 < 16 ? byte & 15 : byte >> 4) + 16 * fifth;
      return halfToNumber(view.getUint16(block, true)) * (q - 16);
    });
  },
};
