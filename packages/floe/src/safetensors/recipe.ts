/**
 * How rows of a GGUF tensor are made from those of a safetensors file. Made when they are read, a few at a time: nothing
 * is ever held twice but the rows in hand.
 */
import {
  e4m3ToNumber,
  F8_BLOCK_ELEMENTS,
  type FormatName,
  fileRowBytes,
  formatByName,
  halfToNumber,
} from '../quant/index.ts';
import { invalid, quote } from './fail.ts';
import type { Scales } from './scales.ts';
import type { PlacedTensor } from './shards.ts';

/** A tensor as a GGUF would have it, and what it is made of. */
export interface Recipe {
  /** In GGUF. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: FormatName;
  readonly from: Ingredient;
}

export type Ingredient =
  /** Bytes that are in no file. */
  | { readonly kind: 'made'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'stored';
      readonly tensor: PlacedTensor;
      /** Of an F8_E4M3 tensor. */
      readonly scales: Scales | null;
      /** Rows of a head whose halves are to lie side by side, by turns; null: rows stay where they are. */
      readonly headRows: number | null;
      /** Whether the file's are less 1; F32. */
      readonly lacksOne: boolean;
    };

/** Bytes of a shard. */
export interface ShardRange {
  readonly shard: number;
  readonly offset: number;
  readonly length: number;
}

/** Bytes of a shard that are wanted, and what becomes of them. */
export interface Making {
  readonly ranges: readonly ShardRange[];
  readonly make: (bytes: readonly Uint8Array[]) => Uint8Array;
}

/** Of the tensor as GGUF has it. */
export function recipeBytes(recipe: Recipe): number {
  if (recipe.from.kind === 'made') return recipe.from.bytes.length;
  const { nRows, rowElements } = rowsOf(recipe.shape);
  return nRows * fileRowBytes(formatByName(recipe.format), rowElements);
}

/** Bytes `from` to `to` of the tensor as GGUF has it. */
export function makingOf(recipe: Recipe, from: number, to: number): Making {
  if (recipe.from.kind === 'made') {
    const { bytes } = recipe.from;
    return { ranges: [], make: () => bytes.subarray(from, to) };
  }
  const { tensor, headRows } = recipe.from;
  if (isPlain(recipe)) {
    const range = { shard: tensor.shard, offset: tensor.offset + from, length: to - from };
    return { ranges: [range], make: ([bytes]) => bytes! };
  }
  const { nRows, rowElements } = rowsOf(recipe.shape);
  const rowBytes = fileRowBytes(formatByName(recipe.format), rowElements);
  const [first, end] = [Math.floor(from / rowBytes), Math.ceil(to / rowBytes)];
  // A row may be from anywhere in its head.
  const group = headRows ?? 1;
  const [firstRead, endRead] = [Math.floor(first / group) * group, Math.min(nRows, Math.ceil(end / group) * group)];
  const rowsRange = rangeOfRows(tensor, firstRead, endRead);
  const scaleRange = scalesRange(recipe.from.scales, firstRead, endRead);
  return {
    ranges: scaleRange ? [rowsRange, scaleRange] : [rowsRange],
    make: ([stored, scales]) => {
      const row = rowMaker(recipe, { stored: stored!, scales: scales ?? null, firstRow: firstRead });
      const made = new Uint8Array((end - first) * rowBytes);
      for (let r = first; r < end; r++) row(sourceRow(r, headRows), made, (r - first) * rowBytes);
      return made.subarray(from - first * rowBytes, to - first * rowBytes);
    },
  };
}

/** Whether the tensor's bytes are those of the file. */
export function isPlain({ format, from }: Recipe): boolean {
  return from.kind === 'stored' && !from.lacksOne && isAsStored(from, format);
}

function isAsStored(
  { tensor, headRows, scales }: Extract<Ingredient, { kind: 'stored' }>,
  format: FormatName,
): boolean {
  return tensor.dtype === format && headRows === null && scales === null;
}

/** A vector is as many rows of one weight. */
function rowsOf(shape: readonly number[]): { nRows: number; rowElements: number } {
  const rowElements = shape.length === 1 ? 1 : shape.at(-1)!;
  return { nRows: shape.reduce((total, dim) => total * dim, 1) / rowElements, rowElements };
}

/** The file's row that is row `row` of GGUF, whose pairs (2i, 2i + 1) turn together where the file's are (i, i + half). */
function sourceRow(row: number, headRows: number | null): number {
  if (headRows === null) return row;
  const inHead = row % headRows;
  return row - inHead + (inHead % 2) * (headRows / 2) + (inHead >> 1);
}

function rangeOfRows(tensor: PlacedTensor, first: number, end: number): ShardRange {
  const rowBytes = tensor.sizeBytes / rowsOf(tensor.shape).nRows;
  return { shard: tensor.shard, offset: tensor.offset + first * rowBytes, length: (end - first) * rowBytes };
}

function scalesRange(scales: Scales | null, first: number, end: number): ShardRange | null {
  if (!scales) return null;
  const { tensor, rows, nColumns } = scales;
  const scaleBytes = tensor.dtype === 'F32' ? 4 : 2;
  const [firstBlock, endBlock] = [Math.floor(first / rows), Math.ceil(end / rows)];
  return {
    shard: tensor.shard,
    offset: tensor.offset + firstBlock * nColumns * scaleBytes,
    length: (endBlock - firstBlock) * nColumns * scaleBytes,
  };
}

/** What was read for some rows, from `firstRow` on. */
interface Stored {
  readonly stored: Uint8Array;
  readonly scales: Uint8Array | null;
  readonly firstRow: number;
}

/** Writes a row of the file, as GGUF has it, to a place. */
type RowMaker = (row: number, to: Uint8Array, at: number) => void;

function rowMaker(recipe: Recipe, read: Stored): RowMaker {
  const { tensor, scales, lacksOne } = recipe.from as Extract<Ingredient, { kind: 'stored' }>;
  const { rowElements } = rowsOf(recipe.shape);
  const storedBytes = tensor.sizeBytes / rowsOf(tensor.shape).nRows;
  const at = (row: number) => (row - read.firstRow) * storedBytes;
  if (lacksOne) return widened(tensor.dtype, read.stored, rowElements, at, 1);
  if (tensor.dtype === recipe.format && !scales) {
    return (row, to, toAt) => to.set(read.stored.subarray(at(row), at(row) + storedBytes), toAt);
  }
  if (!scales) return widened(tensor.dtype, read.stored, rowElements, at);
  const scaleOf = scaleReader(scales, read);
  if (recipe.format === 'F8_E4M3') return withScales(read.stored, rowElements, at, scaleOf);
  return unscaled(tensor, read.stored, rowElements, at, scaleOf);
}

type RowPlace = (row: number) => number;
type ScaleReader = (row: number, element: number) => number;

/** F32 of F16, BF16 or F32: exact, but for what is added. */
function widened(dtype: string, stored: Uint8Array, rowElements: number, at: RowPlace, added = 0): RowMaker {
  const numbers = floatsOf(dtype, stored);
  const width = dtype === 'F32' ? 4 : 2;
  return (row, to, toAt) => {
    const words = new Float32Array(to.buffer, to.byteOffset + toAt, rowElements);
    const first = at(row) / width;
    for (let i = 0; i < rowElements; i++) words[i] = numbers[first + i]! + added;
  };
}

/** F8_E4M3 with the scale of each 128 weights before them; by words, for these are most of a model's bytes. */
function withScales(stored: Uint8Array, rowElements: number, at: RowPlace, scaleOf: ScaleReader): RowMaker {
  const { buffer, byteOffset, length } = aligned(stored);
  const weights = new Uint32Array(buffer, byteOffset, length / 4);
  const blockWords = F8_BLOCK_ELEMENTS / 4;
  return (row, to, toAt) => {
    const words = new Uint32Array(to.buffer, to.byteOffset + toAt);
    const scales = new Float32Array(to.buffer, to.byteOffset + toAt);
    let [from, put] = [at(row) / 4, 0];
    for (let element = 0; element < rowElements; element += F8_BLOCK_ELEMENTS) {
      scales[put++] = scaleOf(row, element);
      for (let i = 0; i < blockWords; i++) words[put++] = weights[from++]!;
    }
  };
}

/** F32 of F8_E4M3, where rows are no whole blocks of 128. */
function unscaled(
  tensor: PlacedTensor,
  stored: Uint8Array,
  rowElements: number,
  at: RowPlace,
  scaleOf: ScaleReader,
): RowMaker {
  return (row, to, toAt) => {
    const view = new DataView(to.buffer, to.byteOffset + toAt);
    for (let i = 0; i < rowElements; i++) {
      const value = scaleOf(row, i) * e4m3ToNumber(stored[at(row) + i]!);
      if (!Number.isFinite(value)) {
        throw invalid(`${quote(tensor.name)} has the weight ${value} in row ${row}.`, { tensor: tensor.name, row });
      }
      view.setFloat32(4 * i, value, true);
    }
  };
}

function scaleReader({ tensor, rows, elements, nColumns }: Scales, { scales, firstRow }: Stored): ScaleReader {
  const numbers = floatsOf(tensor.dtype, scales!);
  const firstBlock = Math.floor(firstRow / rows);
  return (row, element) => numbers[(Math.floor(row / rows) - firstBlock) * nColumns + Math.floor(element / elements)]!;
}

/** Numbers of the dtype; each is an f32 exactly. */
function floatsOf(dtype: string, bytes: Uint8Array): Float32Array {
  const { buffer, byteOffset, length } = aligned(bytes);
  if (dtype === 'F32') return new Float32Array(buffer, byteOffset, length / 4);
  const halves = new Uint16Array(buffer, byteOffset, length / 2);
  if (dtype === 'F16') return Float32Array.from(halves, halfToNumber);
  // BF16: the upper halves of f32s.
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

/** The same bytes where words can be read. */
function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
}
