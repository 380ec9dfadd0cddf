import type { QuantFormat } from './format.ts';
import { halfToNumber } from './half.ts';
import { copyFromMain, copyIntoMain, viewOf } from './planes.ts';

/** F16: IEEE halves, as they are. */
export const f16: QuantFormat = {
  name: 'F16',
  ggmlType: 1,
  blockElements: 1,
  blockBytes: 2,
  part: 'unpack_f16',
  scaleOffsets: [],
  mainBytesPer32: 64,
  sideBytesPer32: 0,
  packRow: copyIntoMain,
  unpackRow: copyFromMain,
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    return Float64Array.from({ length: nElements }, (_, i) => halfToNumber(view.getUint16(2 * i, true)));
  },
};
