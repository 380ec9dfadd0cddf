import { nibbleOf } from './bits.ts';
import { blockFormat, halfAt, headBeside } from './blockFormat.ts';
import { IQ4_TABLE } from './iq4Table.ts';

/**
 * IQ4_NL: the layout of Q4_0, 32 weights in 18 bytes, but a nibble names one of 16 values. w = d·table[q] (ggml,
 * block_iq4_nl).
 */
export const iq4_nl = blockFormat({
  name: 'IQ4_NL',
  ggmlType: 20,
  blockElements: 32,
  blockBytes: 18,
  scaleOffsets: [0],
  ...headBeside(2, 16),
  weight: (block, i) => {
    const { bytes, at } = block;
    const q = nibbleOf(bytes, at + 2, i);
    return halfAt(block) * IQ4_TABLE[q]!;
  },
});
