import { halfToNumber, numberToHalf } from '../quant/index.ts';
import { type AttentionShape, KV_BLOCK, type KvFormatName, kvBlockBytes, kvFormats } from './kvFormats.ts';

/** A layer's cache on the host, word by word as shaders/parts/kvPlace.wgsl lays it out. */
export class KvImage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  private readonly view: DataView;

  constructor(
    readonly format: KvFormatName,
    readonly shape: AttentionShape,
    nBlocks: number,
    bytes = new Uint8Array(nBlocks * kvBlockBytes(format, shape)),
  ) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Every value becomes NaN, or the format's like: what is read of it shows. */
  poison(): this {
    this.bytes.fill(0xff);
    return this;
  }

  put(block: number, kvHead: number, place: number, key: ArrayLike<number>, value: ArrayLike<number>): void {
    const { headDim, valueDim } = this.shape;
    for (let first = 0; first < Math.max(headDim, valueDim); first += 32) {
      const scales = [key, value].map((row) => scaleOf(Array.from(row).slice(first, first + 32)));
      if (kvFormats[this.format].hasScales) {
        const at = this.scaleAt(block, kvHead, place, first);
        for (const [i, scale] of scales.entries()) this.view.setUint16(at + 2 * i, numberToHalf(scale), true);
      }
      for (let dim = first; dim < Math.min(first + 32, headDim); dim++)
        this.putOne(this.keyAt(block, kvHead, place, dim), dim % 4, key[dim]!, scales[0]!);
      for (let dim = first; dim < Math.min(first + 32, valueDim); dim++)
        this.putOne(this.valueAt(block, kvHead, place, dim), dim % 4, value[dim]!, scales[1]!);
    }
  }

  /** As `poison`, of one place alone. */
  poisonAt(block: number, kvHead: number, place: number): void {
    const { headDim, valueDim } = this.shape;
    const { wordBytes, hasScales } = kvFormats[this.format];
    const word = (at: number) => this.bytes.fill(0xff, at, at + wordBytes);
    for (let dim = 0; dim < headDim; dim += 4) word(this.keyAt(block, kvHead, place, dim));
    for (let dim = 0; dim < valueDim; dim += 4) word(this.valueAt(block, kvHead, place, dim));
    for (let dim = 0; dim < Math.max(headDim, valueDim) && hasScales; dim += 32)
      word(this.scaleAt(block, kvHead, place, dim));
  }

  key(block: number, kvHead: number, place: number): Float64Array {
    return Float64Array.from({ length: this.shape.headDim }, (_, dim) =>
      this.one(this.keyAt(block, kvHead, place, dim), dim % 4, this.scaleAt(block, kvHead, place, dim)),
    );
  }

  value(block: number, kvHead: number, place: number): Float64Array {
    return Float64Array.from({ length: this.shape.valueDim }, (_, dim) =>
      this.one(this.valueAt(block, kvHead, place, dim), dim % 4, this.scaleAt(block, kvHead, place, dim) + 2),
    );
  }

  private one(wordAt: number, i: number, scaleAt: number): number {
    if (this.format === 'F32') return this.view.getFloat32(wordAt + 4 * i, true);
    if (this.format === 'F16') return halfToNumber(this.view.getUint16(wordAt + 2 * i, true));
    return this.view.getInt8(wordAt + i) * halfToNumber(this.view.getUint16(scaleAt, true));
  }

  private putOne(wordAt: number, i: number, value: number, scale: number): void {
    if (this.format === 'F32') this.view.setFloat32(wordAt + 4 * i, value, true);
    else if (this.format === 'F16') this.view.setUint16(wordAt + 2 * i, numberToHalf(value), true);
    else this.view.setInt8(wordAt + i, scale === 0 ? 0 : Math.max(-127, Math.min(127, Math.round(value / scale))));
  }

  private part(block: number, kvHead: number): number {
    return (block + kvHead / this.shape.nKvHeads) * kvBlockBytes(this.format, this.shape);
  }

  private keyAt(block: number, kvHead: number, place: number, dim: number): number {
    return this.part(block, kvHead) + (Math.floor(dim / 4) * KV_BLOCK + place) * kvFormats[this.format].wordBytes;
  }

  private valueAt(block: number, kvHead: number, place: number, dim: number): number {
    const { headDim, valueDim } = this.shape;
    const word = (KV_BLOCK * headDim) / 4 + (place * valueDim) / 4 + Math.floor(dim / 4);
    return this.part(block, kvHead) + word * kvFormats[this.format].wordBytes;
  }

  private scaleAt(block: number, kvHead: number, place: number, dim: number): number {
    const { headDim, valueDim } = this.shape;
    const word = (KV_BLOCK * (headDim + valueDim)) / 4 + Math.floor(dim / 32) * KV_BLOCK + place;
    return this.part(block, kvHead) + word * kvFormats[this.format].wordBytes;
  }
}

/** greatest / 127, as a half has it. */
function scaleOf(values: readonly number[]): number {
  return halfToNumber(numberToHalf(Math.max(0, ...values.map(Math.abs)) / 127));
}

/** The block of the pool that holds a position. */
export function blockOf(
  table: ArrayLike<number>,
  position: number,
  { fixedBlocks, tableBlocks }: { readonly fixedBlocks: number; readonly tableBlocks: number },
): number {
  const block = Math.floor(position / KV_BLOCK);
  const entry = block < fixedBlocks ? block : fixedBlocks + ((block - fixedBlocks) % (tableBlocks - fixedBlocks));
  return table[entry]!;
}
