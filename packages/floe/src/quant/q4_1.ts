import { nibbleOf } from './bits.ts';
import { blockFormat, halfAt, headBeside } from './blockFormat.ts';

/**
 * Q4_1: 32 weights in 20 bytes: f16 scale d and minimum m, then 16 bytes of nibbles as in Q4_0. w = d·q + m (ggml,
 * block_q4_1). Beside the quants a word: d low, m high.
 */
export const q4_1 = blockFormat({
  name: 'Q4_1',
  ggmlType: 3,
  blockElements: 32,
  blockBytes: 20,
  scaleOffsets: [0, 2],
  ...headBeside(4, 16),
  weight: (block, i) => {
    const { bytes, at } = block;
    const q = nibbleOf(bytes, at + 4, i);
    return halfAt(block) * q + halfAt(block, 2);
  },
});
