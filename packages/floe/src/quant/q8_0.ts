import type { QuantFormat } from './format.ts';
import { halfToNumber } from './half.ts';
import { scaleFirstPlanes, viewOf } from './planes.ts';

/** Q8_0: 32 weights in 34 bytes: an f16 scale d, then 32 signed bytes in order. w = d·q (ggml, block_q8_0). */
export const q8_0: QuantFormat = {
  name: 'Q8_0',
  ggmlType: 8,
  blockElements: 32,
  blockBytes: 34,
  part: 'unpack_q8_0',
  mainBytesPer32: 32,
  sideBytesPer32: 2,
  ...scaleFirstPlanes('Q8_0', 32),
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    return Float64Array.from({ length: nElements }, (_, i) => {
      const block = 34 * Math.floor(i / 32);
      return halfToNumber(view.getUint16(block, true)) * view.getInt8(block + 2 + (i % 32));
    });
  },
};
