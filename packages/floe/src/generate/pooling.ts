/** From a text's rows behind the last layer to its vector. On the host, in float64: it is one pass over what is read back. */
import { NumericError } from '../errors/index.ts';
import type { Pooling } from '../model/index.ts';

export interface TextRows {
  readonly nRows: number;
  readonly dim: number;
  /** Values from one row to the next. */
  readonly stride: number;
  /** At most `READ_ROWS` of them. */
  readonly readRows: (first: number, nRows: number) => Promise<Float32Array>;
}

/** Rows read back at once. */
export const READ_ROWS = 128;

/** The vector [dim] that a text's rows are pooled to. */
export async function pooled(pooling: Pooling, rows: TextRows): Promise<Float64Array> {
  const { nRows, dim } = rows;
  if (pooling === 'mean') return meanOf(rows);
  const row = await rows.readRows(pooling === 'cls' ? 0 : nRows - 1, 1);
  return Float64Array.from(row.subarray(0, dim));
}

async function meanOf({ nRows, dim, stride, readRows }: TextRows): Promise<Float64Array> {
  const mean = new Float64Array(dim);
  for (let first = 0; first < nRows; first += READ_ROWS) {
    const n = Math.min(READ_ROWS, nRows - first);
    const values = await readRows(first, n);
    for (let row = 0; row < n; row++) {
      for (let i = 0; i < dim; i++) mean[i]! += values[row * stride + i]! / nRows;
    }
  }
  return mean;
}

/** The same direction, of length 1. @throws {NumericError} `numeric/not-finite`: it has none. */
export function unitVector(vector: ArrayLike<number>): Float32Array {
  let squares = 0;
  for (let i = 0; i < vector.length; i++) squares += vector[i]! ** 2;
  const length = Math.sqrt(squares);
  if (length > 0 && length < Number.POSITIVE_INFINITY) return Float32Array.from(vector, (value) => value / length);
  throw new NumericError('numeric/not-finite', `The vector of a text has the length ${length}.`, {
    remedy: 'The weights are damaged, or overflow in F32: download the model again, or take another conversion.',
    details: { length: String(length) },
  });
}
