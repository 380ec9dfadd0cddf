/** What block formats share: a row is taken apart block by block, and scales that are no numbers are refused on the way. */
import { GgufError } from '../errors/index.ts';
import type { QuantFormat } from './format.ts';

/** Where a block of a row and its parts of the two planes begin. */
export interface BlockPlace {
  readonly row: Uint8Array;
  readonly at: number;
  readonly main: Uint8Array;
  readonly mainAt: number;
  readonly side: Uint8Array;
  readonly sideAt: number;
}

interface BlockLayout {
  readonly name: string;
  readonly blockElements: number;
  readonly blockBytes: number;
  /** Of a block, in the two planes. */
  readonly mainBytes: number;
  readonly sideBytes: number;
  /** Offsets of a block's f16 scales. */
  readonly scaleOffsets: readonly number[];
  /** A permutation of a block's bits, and its inverse. */
  readonly pack: (place: BlockPlace) => void;
  readonly unpack: (place: BlockPlace) => void;
}

type Blocks = Pick<
  QuantFormat,
  'blockElements' | 'blockBytes' | 'scaleOffsets' | 'mainBytesPer32' | 'sideBytesPer32' | 'packRow' | 'unpackRow'
>;

/**
 * The fields of a format that follow from how one block is packed.
 *
 * A scale of infinity or NaN would make each token it touches NaN, long after the file was read, so it is refused here,
 * where every byte passes by.
 */
export function blocks(layout: BlockLayout): Blocks {
  const { blockElements, blockBytes, mainBytes, sideBytes, scaleOffsets } = layout;
  const perBlock = 32 / blockElements;
  const each = (row: Uint8Array, main: Uint8Array, side: Uint8Array, visit: (place: BlockPlace) => void) => {
    const place = { row, at: 0, main, mainAt: 0, side, sideAt: 0 };
    for (; place.at < row.length; place.at += blockBytes, place.mainAt += mainBytes, place.sideAt += sideBytes)
      visit(place);
  };
  return {
    blockElements,
    blockBytes,
    scaleOffsets,
    mainBytesPer32: mainBytes * perBlock,
    sideBytesPer32: sideBytes * perBlock,
    packRow: (row, main, side) =>
      each(row, main, side, (place) => {
        for (const offset of scaleOffsets) {
          const high = row[place.at + offset + 1]!;
          if ((high & 0x7c) === 0x7c) throw scaleNotFinite(layout, place, offset);
        }
        layout.pack(place);
      }),
    unpackRow: (main, side, row) => each(row, main, side, layout.unpack),
  };
}

function scaleNotFinite({ name, blockBytes }: BlockLayout, { row, at }: BlockPlace, offset: number): GgufError {
  const bits = row[at + offset]! | (row[at + offset + 1]! << 8);
  const block = at / blockBytes;
  const hex = `0x${bits.toString(16).padStart(4, '0')}`;
  return new GgufError(
    'gguf/invalid',
    `Block ${block} of a ${name} row has the scale ${hex}, which is infinity or NaN.`,
    {
      remedy: 'The weights are damaged, or were quantized from damaged ones. Download or convert the model again.',
      details: { format: name, block, scaleBits: bits },
    },
  );
}

/** Copies bytes without an allocation: `set` needs a view for each. */
export function copyBytes(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number, n: number): void {
  for (let i = 0; i < n; i++) to[toAt + i] = from[fromAt + i]!;
}
