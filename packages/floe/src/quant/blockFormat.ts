/** A block format from how one block is packed and what one weight of it means: the rest of a row follows from these. */
import { GgufError } from '../errors/index.ts';
import type { FormatName, QuantFormat } from './format.ts';
import { halfToNumber } from './half.ts';
import { viewOf } from './planes.ts';

/** Where a block of a row and its parts of the two planes begin. */
export interface BlockPlace {
  readonly row: Uint8Array;
  readonly at: number;
  readonly main: Uint8Array;
  readonly mainAt: number;
  readonly side: Uint8Array;
  readonly sideAt: number;
}

/** A permutation of a block's bits, and its inverse. */
interface BlockPacking {
  readonly pack: (place: BlockPlace) => void;
  readonly unpack: (place: BlockPlace) => void;
}

/** A block as a file has it: it begins at `at`. */
interface FileBlock {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly at: number;
}

interface BlockLayout extends BlockPacking {
  readonly name: FormatName;
  readonly ggmlType: number;
  readonly blockElements: number;
  readonly blockBytes: number;
  /** Of a block, in the two planes. */
  readonly mainBytes: number;
  readonly sideBytes: number;
  /** Offsets of a block's f16 scales. */
  readonly scaleOffsets: readonly number[];
  /** Weight `i` of a block, in float64. */
  readonly weight: (block: FileBlock, i: number) => number;
}

/**
 * The row of a format whose weights come in blocks.
 *
 * A scale of infinity or NaN would make each token it touches NaN, long after the file was read, so it is refused here,
 * where every byte passes by.
 */
export function blockFormat(layout: BlockLayout): QuantFormat {
  const { name, ggmlType, blockElements, blockBytes, mainBytes, sideBytes, scaleOffsets } = layout;
  const perBlock = 32 / blockElements;
  const each = (row: Uint8Array, main: Uint8Array, side: Uint8Array, visit: (place: BlockPlace) => void) => {
    const place = { row, at: 0, main, mainAt: 0, side, sideAt: 0 };
    for (; place.at < row.length; place.at += blockBytes, place.mainAt += mainBytes, place.sideAt += sideBytes)
      visit(place);
  };
  return {
    ...{ name, ggmlType, blockElements, blockBytes, scaleOffsets },
    part: `unpack_${name.toLowerCase()}`,
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
    dequantize: (bytes, nElements) => {
      const view = viewOf(bytes);
      return Float64Array.from({ length: nElements }, (_, i) => {
        const at = blockBytes * Math.floor(i / blockElements);
        return layout.weight({ bytes, view, at }, i % blockElements);
      });
    },
  };
}

/** The packing of blocks that begin with `nBytes` of scales and the like: those go beside the quants, which stay as they are. */
export function headBeside(
  nBytes: number,
  quantBytes: number,
): BlockPacking & { mainBytes: number; sideBytes: number } {
  return {
    mainBytes: quantBytes,
    sideBytes: nBytes,
    pack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(row, at, side, sideAt, nBytes);
      copyBytes(row, at + nBytes, main, mainAt, quantBytes);
    },
    unpack: ({ row, at, main, mainAt, side, sideAt }) => {
      copyBytes(side, sideAt, row, at, nBytes);
      copyBytes(main, mainAt, row, at + nBytes, quantBytes);
    },
  };
}

/** The f16 at `offset` of a block. */
export function halfAt({ view, at }: FileBlock, offset = 0): number {
  return halfToNumber(view.getUint16(at + offset, true));
}

/** Copies bytes without an allocation: `set` needs a view for each. */
export function copyBytes(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number, n: number): void {
  for (let i = 0; i < n; i++) to[toAt + i] = from[fromAt + i]!;
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
