/** What formats share in taking a row apart into planes. */
import { GgufError } from '../errors/index.ts';

/** Formats without scales: the row as it is, padded behind its end. */
export function copyIntoMain(row: Uint8Array, main: Uint8Array): void {
  main.set(row);
}

/** The inverse of `copyIntoMain`; the padding is dropped. */
export function copyFromMain(main: Uint8Array, _side: Uint8Array, row: Uint8Array): void {
  row.set(main.subarray(0, row.length));
}

const SCALE_BYTES = 2;

/**
 * Formats whose block is an f16 scale and then the quants of 32 weights (Q8_0, Q4_0).
 *
 * A scale of infinity or NaN would make each token it touches NaN, long after the file was read, so it is refused here,
 * where every byte passes by.
 */
export function scaleFirstPlanes(formatName: string, quantBytes: number) {
  const blockBytes = SCALE_BYTES + quantBytes;
  return {
    packRow(row: Uint8Array, main: Uint8Array, side: Uint8Array): void {
      for (let block = 0, at = 0; at < row.length; block++, at += blockBytes) {
        const low = row[at]!;
        const high = row[at + 1]!;
        if ((high & 0x7c) === 0x7c) throw scaleNotFinite(formatName, block, (high << 8) | low);
        side[SCALE_BYTES * block] = low;
        side[SCALE_BYTES * block + 1] = high;
        for (let i = 0; i < quantBytes; i++) main[quantBytes * block + i] = row[at + SCALE_BYTES + i]!;
      }
    },
    unpackRow(main: Uint8Array, side: Uint8Array, row: Uint8Array): void {
      for (let block = 0, at = 0; at < row.length; block++, at += blockBytes) {
        row[at] = side[SCALE_BYTES * block]!;
        row[at + 1] = side[SCALE_BYTES * block + 1]!;
        row.set(main.subarray(quantBytes * block, quantBytes * (block + 1)), at + SCALE_BYTES);
      }
    },
  };
}

function scaleNotFinite(formatName: string, block: number, bits: number): GgufError {
  const hex = `0x${bits.toString(16).padStart(4, '0')}`;
  return new GgufError(
    'gguf/invalid',
    `Block ${block} of a ${formatName} row has the scale ${hex}, which is infinity or NaN.`,
    {
      remedy: 'The weights are damaged, or were quantized from damaged ones. Download or convert the model again.',
      details: { format: formatName, block, scaleBits: bits },
    },
  );
}

/** A view for reading little-endian numbers out of `bytes`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
