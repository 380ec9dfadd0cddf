import { nibbleOf } from './bits.ts';
import { blockFormat, headBeside } from './blockFormat.ts';

/** Twice what a nibble means, so that all are whole numbers. */
export const DOUBLED_E2M1 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12] as const;

/**
 * MXFP4: 32 weights in 17 bytes: an exponent e, then 16 bytes of E2M1 nibbles in the order of Q4_0. w = 2^(e - 127) · E2M1
 * (OCP Microscaling Formats 1.0; ggml, block_mxfp4, which takes e = 255, a NaN there, for a number).
 */
export const mxfp4 = blockFormat({
  name: 'MXFP4',
  ggmlType: 39,
  blockElements: 32,
  blockBytes: 17,
  scaleOffsets: [],
  ...headBeside(1, 16),
  weight: (block, i) => {
    const { bytes, view, at } = block;
    const q = nibbleOf(bytes, at + 1, i);
    return 2 ** (view.getUint8(at) - 128) * DOUBLED_E2M1[q]!;
  },
});
