import type { QuantFormat } from './format.ts';
import { copyFromMain, copyIntoMain, viewOf } from './planes.ts';

/** F32: as it is. */
export const f32: QuantFormat = {
  name: 'F32',
  ggmlType: 0,
  blockElements: 1,
  blockBytes: 4,
  part: 'unpack_f32',
  scaleOffsets: [],
  mainBytesPer32: 128,
  sideBytesPer32: 0,
  packRow: copyIntoMain,
  unpackRow: copyFromMain,
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    return Float64Array.from({ length: nElements }, (_, i) => view.getFloat32(4 * i, true));
  },
};
