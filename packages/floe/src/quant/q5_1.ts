import { nibbleOf } from './bits.ts';
import { blockFormat, halfAt, headBeside } from './blockFormat.ts';

/**
 * Q5_1: 32 weights in 24 bytes: f16 scale d and minimum m, a word of fifth bits, 16 bytes of nibbles as in Q4_0.
 * w = d·q + m (ggml, block_q5_1). Beside the nibbles two words: d and m, and the fifth bits.
 */
export const q5_1 = blockFormat({
  name: 'Q5_1',
  ggmlType: 7,
  blockElements: 32,
  blockBytes: 24,
  scaleOffsets: [0, 2],
  ...headBeside(8, 16),
  weight: (block, i) => {
    const { bytes, view, at } = block;
    const fifth = (view.getUint32(at + 4, true) >>> i) & 1;
    const q = nibbleOf(bytes, at + 8, i) + 16 * fifth;
    return halfAt(block) * q + halfAt(block, 2);
  },
});
