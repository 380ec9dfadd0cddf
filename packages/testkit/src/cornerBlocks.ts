import type { FormatName, QuantFormat } from '../../floe/src/quant/index.ts';
import { ownScales } from './randomBlocks.ts';

/** Halves: nothing of either sign, the smallest, the largest subnormal, the smallest normal, 1, and the largest of either sign. */
const HALVES = [0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x3c00, 0x7bff, 0xfbff];
/** Of scales that are no halves: as far as f32 holds the weights as normal numbers. */
const EXPONENTS: Partial<Record<FormatName, readonly number[]>> = {
  MXFP4: [-125, 0, 125],
  F8_E4M3: [-117, 0, 118],
};
/** What all bytes of a block are, and last each its own number. */
const FILLS: readonly ((i: number) => number)[] = [
  ...[0x00, 0xff, 0x80, 0x7f, 0x01, 0x55, 0xaa].map((byte) => () => byte),
  (i) => i,
];

/** Bytes of weights at the corners: of floats every finite one of 16 bits, else all kinds of quants under all kinds of scales. */
export function cornerBlocks(format: QuantFormat): Uint8Array {
  if (format.blockElements === 1) return everyFloat(format);
  const { blockBytes, scaleOffsets } = format;
  const scales = scaleOffsets.reduce<number[][]>(
    (all, _) => all.flatMap((one) => HALVES.map((half) => [...one, half])),
    [[]],
  );
  const blocks = FILLS.flatMap((fill) =>
    scales.flatMap((halves) =>
      (EXPONENTS[format.name] ?? [0]).map((exponent) => {
        const block = Uint8Array.from({ length: blockBytes }, (_, i) => fill(i));
        const view = new DataView(block.buffer);
        scaleOffsets.forEach((offset, i) => {
          view.setUint16(offset, halves[i]!, true);
        });
        ownScales[format.name]?.(block, exponent);
        return block;
      }),
    ),
  );
  return new Uint8Array(Buffer.concat(blocks));
}

/** F32 has another 16 bits: none of them, or all. */
function everyFloat({ blockBytes, dequantize }: QuantFormat): Uint8Array {
  const floats = Array.from({ length: 1 << 16 }, (_, bits) => {
    const low = bits & 1 ? 255 : 0;
    return Uint8Array.from([low, low, bits & 255, bits >> 8].slice(4 - blockBytes));
  });
  return new Uint8Array(Buffer.concat(floats.filter((bytes) => Number.isFinite(dequantize(bytes, 1)[0]))));
}
