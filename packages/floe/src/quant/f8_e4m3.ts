import { GgufError } from '../errors/index.ts';
import { type BlockPlace, blockFormat, headBeside } from './blockFormat.ts';
import { e4m3ToNumber } from './e4m3.ts';
import { OWN_TYPES } from './format.ts';

/** Weights that share a scale; checkpoints scale 128 by 128, or more at once. */
export const F8_BLOCK_ELEMENTS = 128;
const SCALE_BYTES = 4;
const beside = headBeside(SCALE_BYTES, F8_BLOCK_ELEMENTS);

/**
 * F8_E4M3: 128 weights in 132 bytes: an f32 scale d, then a byte each. w = d·E4M3. The dtype of safetensors, where
 * scales are tensors of their own: whoever reads them puts each before the weights it belongs to.
 */
export const f8_e4m3 = blockFormat({
  name: 'F8_E4M3',
  ggmlType: OWN_TYPES,
  blockElements: F8_BLOCK_ELEMENTS,
  blockBytes: SCALE_BYTES + F8_BLOCK_ELEMENTS,
  scaleOffsets: [],
  ...beside,
  pack: (place) => {
    checkFinite(place);
    beside.pack(place);
  },
  weight: ({ view, at }, i) => view.getFloat32(at, true) * e4m3ToNumber(view.getUint8(at + SCALE_BYTES + i)),
});

/** @throws {GgufError} `gguf/invalid`: as for f16 scales, and a NaN of the weights' own. */
function checkFinite({ row, at }: BlockPlace): void {
  // An f32 whose exponent is all ones is infinity or NaN.
  const isScale = (row[at + 3]! & 0x7f) !== 0x7f || row[at + 2]! < 0x80;
  if (!isScale) throw notFinite(at, isScale);
  for (let i = 0; i < F8_BLOCK_ELEMENTS; i++) {
    if ((row[at + SCALE_BYTES + i]! & 0x7f) === 0x7f) throw notFinite(at, isScale);
  }
}

function notFinite(at: number, isScale: boolean): GgufError {
  const block = at / (SCALE_BYTES + F8_BLOCK_ELEMENTS);
  const what = isScale ? 'a weight that is NaN' : 'a scale that is infinity or NaN';
  return new GgufError('gguf/invalid', `Block ${block} of a F8_E4M3 row has ${what}.`, {
    remedy: 'The weights are damaged. Download or convert the model again.',
    details: { format: 'F8_E4M3', block },
  });
}
