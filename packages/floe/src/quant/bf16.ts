import type { QuantFormat } from './format.ts';
import { copyFromMain, copyIntoMain, viewOf } from './planes.ts';

/** BF16: the upper half of an F32. */
export const bf16: QuantFormat = {
  name: 'BF16',
  ggmlType: 30,
  blockElements: 1,
  blockBytes: 2,
  part: 'unpack_bf16',
  scaleOffsets: [],
  mainBytesPer32: 64,
  sideBytesPer32: 0,
  packRow: copyIntoMain,
  unpackRow: copyFromMain,
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    const word = new DataView(new ArrayBuffer(4));
    return Float64Array.from({ length: nElements }, (_, i) => {
      word.setUint32(0, view.getUint16(2 * i, true) << 16);
      return word.getFloat32(0);
    });
  },
};
