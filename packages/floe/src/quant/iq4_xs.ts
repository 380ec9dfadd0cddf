import { nibbleOf } from './bits.ts';
import { blocks, copyBytes } from './blocks.ts';
import type { QuantFormat } from './format.ts';
import { halfToNumber } from './half.ts';
import { IQ4_TABLE } from './iq4Table.ts';
import { viewOf } from './planes.ts';

/**
 * IQ4_XS: 256 weights in 136 bytes: f16 d, 6-bit scales s for each 32 in 6 bytes (upper bits first), 128 bytes of nibbles that
 * name one of 16 values, each 32 in the order of Q4_0. w = d·(s - 32)·table[q] (ggml, block_iq4_xs).
 */
export const iq4_xs: QuantFormat = {
  name: 'IQ4_XS',
  ggmlType: 23,
  part: 'unpack_iq4_xs',
  ...blocks({
    name: 'IQ4_XS',
    blockElements: 256,
    blockBytes: 136,
    mainBytes: 128,
    sideBytes: 8,
    scaleOffsets: [0],
    pack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(row, at, side, sideAt, 8);
      copyBytes(row, at + 8, main, mainAt, 128);
    },
    unpack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(side, sideAt, row, at, 8);
      copyBytes(main, mainAt, row, at + 8, 128);
    },
  }),
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    return Float64Array.from({ length: nElements }, (_, index) => {
      const block = 136 * Math.floor(index / 256);
      const i = index % 256;
      const group = i >> 5;
      const low = (view.getUint8(block + 4 + (group >> 1)) >> (4 * (group & 1))) & 15;
      const high = (view.getUint16(block + 2, true) >> (2 * group)) & 3;
      const q = nibbleOf(bytes, block + 8 + 16 * group, i & 31);
      return halfToNumber(view.getUint16(block, true)) * ((low | (high << 4)) - 32) * IQ4_TABLE[q]!;
    });
  },
};
