import { type FormatName, fileRowBytes, type QuantFormat } from '../../floe/src/quant/index.ts';
import type { Seeded } from './seeded.ts';

export interface RandomBlocksOptions {
  /** Powers of two that scales lie between; default: every finite scale, subnormal halves too. */
  readonly exponents?: readonly [least: number, most: number];
}

/** The bytes of `nElements` weights: every pattern of bits may stand in a block, but its scales and weights are finite. */
export function randomBlocks(
  format: QuantFormat,
  nElements: number,
  random: Seeded,
  { exponents }: RandomBlocksOptions = {},
): Uint8Array {
  const bytes = random.bytes(fileRowBytes(format, nElements));
  for (let at = 0; at < bytes.length; at += format.blockBytes) {
    for (const offset of format.scaleOffsets) {
      const high = at + offset + 1;
      bytes[high] = (bytes[high]! & 0x83) | ((random.int(...(exponents ?? [-15, 15])) + 15) << 2);
    }
    // So large and so small that f32 holds the weights as normal numbers.
    const block = bytes.subarray(at, at + format.blockBytes);
    ownScales[format.name]?.(block, random.int(...(exponents ?? [-90, 90])));
    floats[format.name]?.(block);
  }
  return bytes;
}

/** Sets the power of two of a block's scale, in formats where that is no half. */
export const ownScales: Partial<Record<FormatName, (block: Uint8Array, exponent: number) => void>> = {
  MXFP4: (block, exponent) => {
    block[0] = exponent + 127;
  },
  F8_E4M3: (block, exponent) => {
    // The exponent of an f32 is bits 23 to 30. Two bytes are NaN; their neighbours are the largest numbers.
    block[2] = (block[2]! & 0x7f) | (((exponent + 127) & 1) << 7);
    block[3] = (block[3]! & 0x80) | ((exponent + 127) >> 1);
    for (let i = 4; i < block.length; i++) if ((block[i]! & 0x7f) === 0x7f) block[i]!--;
  },
};

/** An exponent of all ones is of infinity or NaN: it gets a zero. */
const floats: Partial<Record<FormatName, (bytes: Uint8Array) => void>> = {
  F16: (bytes) => {
    if ((bytes[1]! & 0x7c) === 0x7c) bytes[1]! ^= 0x40;
  },
  BF16: (bytes) => {
    if ((bytes[1]! & 0x7f) === 0x7f) bytes[1]! ^= 0x40;
  },
  F32: (bytes) => {
    if ((bytes[3]! & 0x7f) === 0x7f) bytes[3]! ^= 0x40;
  },
};
