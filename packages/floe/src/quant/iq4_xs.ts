import { nibbleOf } from './bits.ts';
import { blockFormat, halfAt, headBeside } from './blockFormat.ts';
import { IQ4_TABLE } from './iq4Table.ts';

/**
 * IQ4_XS: 256 weights in 136 bytes: f16 d, 6-bit scales s for each 32 in 6 bytes (upper bits first), 128 bytes of nibbles that
 * name one of 16 values, each 32 in the order of Q4_0. w = d·(s - 32)·table[q] (ggml, block_iq4_xs).
 */
export const iq4_xs = blockFormat({
  name: 'IQ4_XS',
  ggmlType: 23,
  blockElements: 256,
  blockBytes: 136,
  scaleOffsets: [0],
  ...headBeside(8, 128),
  weight: (block, i) => {
    const { bytes, view, at } = block;
    const group = i >> 5;
    const low = (view.getUint8(at + 4 + (group >> 1)) >> (4 * (group & 1))) & 15;
    const high = (view.getUint16(at + 2, true) >> (2 * group)) & 3;
    const q = nibbleOf(bytes, at + 8 + 16 * group, i & 31);
    return halfAt(block) * ((low | (high << 4)) - 32) * IQ4_TABLE[q]!;
  },
});
