import { blocks, copyBytes } from './blocks.ts';
import type { QuantFormat } from './format.ts';
import { halfToNumber } from './half.ts';
import { viewOf } from './planes.ts';

/**
 * Q5_1: 32 weights in 24 bytes: f16 scale d and minimum m, a word of fifth bits, 16 bytes of nibbles as in Q4_0.
 * w = d·q + m (ggml, block_q5_1). Beside the nibbles two words: d and m, and the fifth bits.
 */
export const q5_1: QuantFormat = {
  name: 'Q5_1',
  ggmlType: 7,
  part: 'unpack_q5_1',
  ...blocks({
    name: 'Q5_1',
    blockElements: 32,
    blockBytes: 24,
    mainBytes: 16,
    sideBytes: 8,
    scaleOffsets: [0, 2],
    pack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(row, at, side, sideAt, 8);
      copyBytes(row, at + 8, main, mainAt, 16);
    },
    unpack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(side, sideAt, row, at, 8);
      copyBytes(main, mainAt, row, at + 8, 16);
    },
  }),
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    return Float64Array.from({ length: nElements }, (_, i) => {
      const block = 24 * Math.floor(i / 32);
      const byte = view.getUint8(block + 8 + (i % 16));
      const fifth = (view.getUint32(block + 4, true) >>> (i % 32)) & 1;
      const q = (i % 32 < 16 ? byte & 15 : byte >> 4) + 16 * fifth;
      return halfToNumber(view.getUint16(block, true)) * q + halfToNumber(view.getUint16(block + 2, true));
    });
  },
};
