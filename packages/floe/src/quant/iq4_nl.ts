import { blocks, copyBytes } from './blocks.ts';
import type { QuantFormat } from './format.ts';
import { halfToNumber } from './half.ts';
import { IQ4_TABLE } from './iq4Table.ts';
import { viewOf } from './planes.ts';

/**
 * IQ4_NL: the layout of Q4_0, 32 weights in 18 bytes, but a nibble names one of 16 values. w = d·table[q] (ggml,
 * block_iq4_nl).
 */
export const iq4_nl: QuantFormat = {
  name: 'IQ4_NL',
  ggmlType: 20,
  part: 'unpack_iq4_nl',
  ...blocks({
    name: 'IQ4_NL',
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
      const byte = view.getUint8(block + 2 + (i % 16));
      const q = i % 32 < 16 ? byte & 15 : byte >> 4;
      return halfToNumber(view.getUint16(block, true)) * IQ4_TABLE[q]!;
    });
  },
};
