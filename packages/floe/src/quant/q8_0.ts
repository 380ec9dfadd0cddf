import { blocks, copyBytes } from './blocks.ts';
import type { QuantFormat } from './format.ts';
import { halfToNumber } from './half.ts';
import { viewOf } from './planes.ts';

/** Q8_0: 32 weights in 34 bytes: an f16 scale d, then 32 signed bytes in order. w = d·q (ggml, block_q8_0). */
export const q8_0: QuantFormat = {
  name: 'Q8_0',
  ggmlType: 8,
  part: 'unpack_q8_0',
  ...blocks({
    name: 'Q8_0',
    blockElements: 32,
    blockBytes: 34,
    mainBytes: 32,
    sideBytes: 2,
    scaleOffsets: [0],
    pack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(row, at, side, sideAt, 2);
      copyBytes(row, at + 2, main, mainAt, 32);
    },
    unpack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(side, sideAt, row, at, 2);
      copyBytes(main, mainAt, row, at + 2, 32);
    },
  }),
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    return Float64Array.from({ length: nElements }, (_, i) => {
      const block = 34 * Math.floor(i / 32);
      return halfToNumber(view.getUint16(block, true)) * view.getInt8(block + 2 + (i % 32));
    });
  },
};
