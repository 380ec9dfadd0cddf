import { blocks, copyBytes } from './blocks.ts';
import type { QuantFormat } from './format.ts';
import { halfToNumber } from './half.ts';
import { viewOf } from './planes.ts';

/**
 * Q4_1: 32 weights in 20 bytes: f16 scale d and minimum m, then 16 bytes of nibbles as in Q4_0. w = d·q + m (ggml,
 * block_q4_1). Beside the quants a word: d low, m high.
 */
export const q4_1: QuantFormat = {
  name: 'Q4_1',
  ggmlType: 3,
  part: 'unpack_q4_1',
  ...blocks({
    name: 'Q4_1',
    blockElements: 32,
    blockBytes: 20,
    mainBytes: 16,
    sideBytes: 4,
    scaleOffsets: [0, 2],
    pack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(row, at, side, sideAt, 4);
      copyBytes(row, at + 4, main, mainAt, 16);
    },
    unpack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(side, sideAt, row, at, 4);
      copyBytes(main, mainAt, row, at + 4, 16);
    },
  }),
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    return Float64Array.from({ length: nElements }, (_, i) => {
      const block = 20 * Math.floor(i / 32);
      const byte = view.getUint8(block + 4 + (i % 16));
      const q = i % 32 < 16 ? byte & 15 : byte >> 4;
      return halfToNumber(view.getUint16(block, true)) * q + halfToNumber(view.getUint16(block + 2, true));
    });
  },
};
