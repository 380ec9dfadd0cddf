import { fileRowBytes, type QuantFormat } from '../../floe/src/quant/index.ts';
import type { Seeded } from './seeded.ts';

export interface RandomBlocksOptions {
  /** Powers of two that scales lie between; default: every finite scale, subnormal halves too. */
  readonly exponents?: readonly [least: number, most: number];
}

/** The bytes of `nElements` weights: every pattern of bits may stand in a block, but its scales are finite. */
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
    // The one format whose scale is a power of two, in its first byte: those whose weights are normal numbers in f32.
    if (format.name === 'MXFP4') bytes[at] = random.int(...(exponents ?? [-124, 123])) + 127;
  }
  return bytes;
}
