import { blocks, copyBytes } from './blocks.ts';
import type { QuantFormat } from './format.ts';
import { halfToNumber } from './half.ts';
import { viewOf } from './planes.ts';

/**
 * Q4_0: 32 weights in 18 bytes: an f16 scale d, then 16 bytes. w = d·(q - 8) (ggml, block_q4_0). Byte j holds weight j
 * in its low nibble and weight j + 16 in its high one, on the GPU too.
 */
export const q4_0: QuantFormat = {
  name: 'Q4_0',
  ggmlType: 2,
  part: 'unpack_q4_0',
  ...blocks({
    name: 'Q4_0',
    blockElements: 32,
    blockBytes: 18,
    mainBytes: 16,
    sideBytes: 2,
    scaleOffsets: [0],
    pack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(row, at, side, sideAt, 2);
      copyBytes(row, at + 2, main, mainAt, 16);
    },
    unpack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(side, sideAt, row, at, 2);
      copyBytes(main, mainAt, row, at + 2, 16);
    },
  }),
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    return Float64Array.from({ length: nElements }, (_, i) => {
      const block = 18 * Math.floor(i / 32);
      const nibbles = view.getUint8(block + 2 + (i % 16));
      const q = i % 32 < 16 ? nibbles & 15 : nibbles >> 4;
      return halfToNumber(view.getUint16(block, true)) * (q - 8);
    });
  },
};
