import type { QuantFormat } from './format.ts';
import { halfToNumber } from './half.ts';
import { scaleFirstPlanes, viewOf } from './planes.ts';

/**
 * Q4_0: 32 weights in 18 bytes: an f16 scale d, then 16 bytes. w = d·(q - 8) (ggml, block_q4_0). Byte j holds weight j
 * in its low nibble and weight j + 16 in its high one, on the GPU too.
 */
export const q4_0: QuantFormat = {
  name: 'Q4_0',
  ggmlType: 2,
  blockElements: 32,
  blockBytes: 18,
  part: 'unpack_q4_0',
  mainBytesPer32: 16,
  sideBytesPer32: 2,
  ...scaleFirstPlanes('Q4_0', 16),
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    return Float64Array.from({ length: nElements }, (_, i) => {
      const block = 18 * Math.floor(i / 32);
      const nibbles = view.getUint8(block + 2 + (i % 16));
      const q = i % 32 < 16 ? nibbles & 15 : nibbles >> 4;
      return halfToNumber(view.getUint16(block, true)) * (q - 8);
    });
  },
};
