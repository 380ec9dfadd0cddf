import { nibbleOf } from './bits.ts';
import { blockFormat, halfAt, headBeside } from './blockFormat.ts';

/**
 * Q4_0: 32 weights in 18 bytes: an f16 scale d, then 16 bytes. w = d·(q - 8) (ggml, block_q4_0). Byte j holds weight j
 * in its low nibble and weight j + 16 in its high one, on the GPU too.
 */
export const q4_0 = blockFormat({
  name: 'Q4_0',
  ggmlType: 2,
  blockElements: 32,
  blockBytes: 18,
  scaleOffsets: [0],
  ...headBeside(2, 16),
  weight: (block, i) => {
    const { bytes, at } = block;
    const q = nibbleOf(bytes, at + 2, i);
    return halfAt(block) * (q - 8);
  },
});
