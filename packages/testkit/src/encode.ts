/**
 * Weights to a file's bytes: ggml's reference encoders for Q8_0 and Q4_0, with arithmetic rounded to f32 where ggml's is;
 * for the others plain ones (encodeBlocks.ts), which use every field of a block.
 */

import { type FormatName, numberToHalf } from '../../floe/src/quant/index.ts';
import { blockEncoders } from './encodeBlocks.ts';

const f32 = Math.fround;
type Weights = Float32Array | Float64Array;

/** The bytes of `weights`, whose rows must be whole blocks. */
export function encode(type: FormatName, weights: Weights): Uint8Array {
  return encoders[type](weights);
}

const encoders: Readonly<Record<FormatName, (weights: Weights) => Uint8Array>> = {
  F32: (weights) => bytesOf(Float32Array.from(weights)),
  F16: (weights) => bytesOf(Uint16Array.from(weights, (weight) => numberToHalf(f32(weight)))),
  BF16: (weights) => bytesOf(Uint16Array.from(weights, toBf16)),
  Q8_0: (weights) => inBlocks(weights, 34, encodeQ8Block),
  Q4_0: (weights) => inBlocks(weights, 18, encodeQ4Block),
  ...blockEncoders,
};

/** d = largest magnitude / 127; q = x/d, halves away from zero. q uses d before it is rounded to f16. */
function encodeQ8Block(weights: Weights, block: DataView): void {
  let largest = 0;
  for (const weight of weights) largest = Math.max(largest, Math.abs(f32(weight)));
  const d = f32(largest / 127);
  const inverse = d === 0 ? 0 : f32(1 / d);
  block.setUint16(0, numberToHalf(d), true);
  weights.forEach((weight, i) => {
    const scaled = f32(f32(weight) * inverse);
    block.setInt8(2 + i, Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5));
  });
}

/** d = the value of largest magnitude / -8, so that it is q = 0 exactly; q = x/d + 8, rounded, at most 15. */
function encodeQ4Block(weights: Weights, block: DataView): void {
  let extreme = 0;
  for (const weight of weights) if (Math.abs(f32(weight)) > Math.abs(extreme)) extreme = f32(weight);
  const d = f32(extreme / -8);
  const inverse = d === 0 ? 0 : f32(1 / d);
  const quant = (weight: number) => Math.min(15, Math.trunc(f32(f32(f32(weight) * inverse) + 8.5)));
  block.setUint16(0, numberToHalf(d), true);
  for (let j = 0; j < 16; j++) block.setUint8(2 + j, quant(weights[j]!) | (quant(weights[j + 16]!) << 4));
}

function inBlocks(weights: Weights, blockBytes: number, encodeBlock: (weights: Weights, block: DataView) => void) {
  if (weights.length % 32 !== 0) throw new Error(`${weights.length} weights are no whole blocks of 32`);
  const bytes = new Uint8Array((weights.length / 32) * blockBytes);
  for (let i = 0; i < weights.length / 32; i++) {
    encodeBlock(weights.subarray(32 * i, 32 * (i + 1)), new DataView(bytes.buffer, i * blockBytes, blockBytes));
  }
  return bytes;
}

/** The upper half of the f32, rounded to nearest, ties to even. Not for NaN. */
function toBf16(weight: number): number {
  const bits = new Uint32Array(Float32Array.of(weight).buffer)[0]!;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function bytesOf(array: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
