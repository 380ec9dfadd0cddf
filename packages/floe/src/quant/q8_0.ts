import { blockFormat, halfAt, headBeside } from './blockFormat.ts';

/** Q8_0: 32 weights in 34 bytes: an f16 scale d, then 32 signed bytes in order. w = d·q (ggml, block_q8_0). */
export const q8_0 = blockFormat({
  name: 'Q8_0',
  ggmlType: 8,
  blockElements: 32,
  blockBytes: 34,
  scaleOffsets: [0],
  ...headBeside(2, 32),
  weight: (block, i) => {
    const { view, at } = block;
    return halfAt(block) * view.getInt8(at + 2 + i);
  },
});
