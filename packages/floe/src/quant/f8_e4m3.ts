import { GgufError } from '../errors/index.ts';
import { blocks, copyBytes } from './blocks.ts';
import { e4m3ToNumber } from './e4m3.ts';
import { OWN_TYPES, type QuantFormat } from './format.ts';
import { viewOf } from './planes.ts';

/** Weights that share a scale; checkpoints scale 128 by 128, or more at once. */
export const F8_BLOCK_ELEMENTS = 128;
const SCALE_BYTES = 4;

/**
 * F8_E4M3: 128 weights in 132 bytes: an f32 scale d, then a byte each. w = d·E4M3. The dtype of safetensors; scales are
 * tensors of their own there, and `safetensors/` puts them before the weights they belong to.
 */
export const f8_e4m3: QuantFormat = {
  name: 'F8_E4M3',
  ggmlType: OWN_TYPES,
  part: 'unpack_f8_e4m3',
  ...blocks({
    name: 'F8_E4M3',
    blockElements: F8_BLOCK_ELEMENTS,
    blockBytes: SCALE_BYTES + F8_BLOCK_ELEMENTS,
    mainBytes: F8_BLOCK_ELEMENTS,
    sideBytes: SCALE_BYTES,
    scaleOffsets: [],
    pack: ({ row, at, main, mainAt, side, sideAt }) => {
      // An f32 whose exponent is all ones is infinity or NaN.
      const isScale = (row[at + 3]! & 0x7f) !== 0x7f || row[at + 2]! < 0x80;
      copyBytes(row, at, side, sideAt, SCALE_BYTES);
      let isWhole = isScale;
      for (let i = 0; i < F8_BLOCK_ELEMENTS; i++) {
        const byte = row[at + SCALE_BYTES + i]!;
        main[mainAt + i] = byte;
        if ((byte & 0x7f) === 0x7f) isWhole = false;
      }
      if (!isWhole) throw notFinite(at, isScale);
    },
    unpack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(side, sideAt, row, at, SCALE_BYTES);
      copyBytes(main, mainAt, row, at + SCALE_BYTES, F8_BLOCK_ELEMENTS);
    },
  }),
  dequantize: (bytes, nElements) => {
    const view = viewOf(bytes);
    return Float64Array.from({ length: nElements }, (_, i) => {
      const block = (SCALE_BYTES + F8_BLOCK_ELEMENTS) * Math.floor(i / F8_BLOCK_ELEMENTS);
      const byte = view.getUint8(block + SCALE_BYTES + (i % F8_BLOCK_ELEMENTS));
      return view.getFloat32(block, true) * e4m3ToNumber(byte);
    });
  },
};

function notFinite(at: number, isScale: boolean): GgufError {
  const block = at / (SCALE_BYTES + F8_BLOCK_ELEMENTS);
  const what = isScale ? 'a weight that is NaN' : 'a scale that is infinity or NaN';
  return new GgufError('gguf/invalid', `Block ${block} of a F8_E4M3 row has ${what}.`, {
    remedy: 'The weights are damaged. Download or convert the model again.',
    details: { format: 'F8_E4M3', block },
  });
}
