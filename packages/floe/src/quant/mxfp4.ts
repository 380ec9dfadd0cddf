import { blocks, copyBytes } from './blocks.ts';
import type { QuantFormat } from './format.ts';
import { viewOf } from './planes.ts';

/** Twice what a nibble means, so that all are whole numbers. */
export const DOUBLED_E2M1 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12] as const;

/**
 * MXFP4: 32 weights in 17 bytes: an exponent e, then 16 bytes of E2M1 nibbles in the order of Q4_0. w = 2^(e - 127) · E2M1
 * (OCP Microscaling Formats 1.0; ggml, block_mxfp4, which takes e = 255, a NaN there, for a number).
 */
export const mxfp4: QuantFormat = {
  name: 'MXFP4',
  ggmlType: 39,
  part: 'unpack_mxfp4',
  ...blocks({
    name: 'MXFP4',
    blockElements: 32,
    blockBytes: 17,
    mainBytes: 16,
    sideBytes: 1,
    scaleOffsets: [],
    pack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(row, at, side, sideAt, 1);
      copyBytes(row, at + 1, main, mainAt, 16);
    },
    unpack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(side, sideAt, row, at, 1);
      copyBytes(main, mainAt, row, at + 1, 16);
    },
  }),
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    return Float64Array.from({ length: nElements }, (_, i) => {
      const block = 17 * Math.floor(i / 32);
      const byte = view.getUint8(block + 1 + (i % 16));
      const q = i % 32 < 16 ? byte & 15 : byte >> 4;
      return 2 ** (view.getUint8(block) - 128) * DOUBLED_E2M1[q]!;
    });
  },
};
