/** A record as the GPU reads it, made from the rows of a GGUF file. */
import { GgufError, InternalError } from '../errors/index.ts';
import { fileRowBytes, formatByName, planeBytes } from '../quant/index.ts';
import type { MatrixPlan, RecordPlan } from './record.ts';

/**
 * The version of what `packRecord` makes. It stands in each manifest; records of another version are swept and
 * downloaded again. Raise it with any change to `packRow` or to the order of planes. (A changed `RecordPlan` is
 * noticed by itself: the manifest has the plans' hash.)
 */
export const PACKING_VERSION = 1;

/** Read at once from the source; a large matrix is never held as file bytes and as planes both. */
const READ_BYTES = 8 << 20;

/** The record's bytes: the rows of each matrix, its sources stacked, taken apart into main and side plane. */
export async function packRecord(
  plan: RecordPlan,
  readSource: (offset: number, length: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const record = new Uint8Array(plan.sizeBytes);
  for (const matrix of plan.matrices) await packMatrix(plan, matrix, record, readSource);
  return record;
}

/** The file's bytes of one source of a matrix, from the record: the inverse of packing, by which stored bytes are checked. */
export function unpackSource(matrix: MatrixPlan, sourceIndex: number, record: Uint8Array): Uint8Array {
  const { format, rowBytes, main, side } = rowLayout(matrix);
  const source = matrix.sources[sourceIndex]!;
  const bytes = new Uint8Array(source.sizeBytes);
  let row = matrix.sources.slice(0, sourceIndex).reduce((sum, before) => sum + before.sizeBytes, 0) / rowBytes;
  for (let at = 0; at < bytes.length; at += rowBytes, row++) {
    format.unpackRow(
      planeRow(record, matrix.mainOffset, row, main),
      planeRow(record, matrix.sideOffset, row, side),
      bytes.subarray(at, at + rowBytes),
    );
  }
  return bytes;
}

async function packMatrix(
  plan: RecordPlan,
  matrix: MatrixPlan,
  record: Uint8Array,
  readSource: (offset: number, length: number) => Promise<Uint8Array>,
): Promise<void> {
  const { format, rowBytes, main, side } = rowLayout(matrix);
  checkPlan(plan, matrix, rowBytes, { main, side });
  const rowsAtOnce = Math.max(1, Math.floor(READ_BYTES / rowBytes));
  let row = 0;
  for (const source of matrix.sources) {
    const nRows = source.sizeBytes / rowBytes;
    for (let done = 0; done < nRows; done += rowsAtOnce) {
      const bytes = await readSource(source.offset + done * rowBytes, Math.min(rowsAtOnce, nRows - done) * rowBytes);
      try {
        for (let at = 0; at < bytes.length; at += rowBytes, row++) {
          format.packRow(
            bytes.subarray(at, at + rowBytes),
            planeRow(record, matrix.mainOffset, row, main),
            planeRow(record, matrix.sideOffset, row, side),
          );
        }
      } catch (error) {
        throw inTensor(source.tensor, source.offset, error);
      }
    }
  }
}

function rowLayout(matrix: MatrixPlan) {
  const format = formatByName(matrix.format);
  return { format, rowBytes: fileRowBytes(format, matrix.rowElements), ...planeBytes(format, 1, matrix.rowElements) };
}

function planeRow(record: Uint8Array, planeOffset: number, row: number, rowBytes: number): Uint8Array {
  // A format without a side plane has rows of no bytes; its offset means nothing.
  return rowBytes === 0
    ? record.subarray(0, 0)
    : record.subarray(planeOffset + row * rowBytes, planeOffset + (row + 1) * rowBytes);
}

/** What a row's format refuses, with the place in the file. */
function inTensor(tensor: string, offset: number, error: unknown): unknown {
  if (!(error instanceof GgufError)) return error;
  const details = { ...error.details, tensor, offset };
  const message = `Tensor ${tensor}, at byte ${offset}: ${error.message}`;
  return new GgufError('gguf/invalid', message, { remedy: error.remedy, details, cause: error });
}

/** A plan that disagrees with itself is our bug, and would be silent garbage. */
function checkPlan(
  plan: RecordPlan,
  matrix: MatrixPlan,
  rowBytes: number,
  planeRowBytes: { main: number; side: number },
): void {
  const { nRows, sources } = matrix;
  const rows = sources.reduce((sum, source) => sum + source.sizeBytes, 0) / rowBytes;
  const whole = sources.every((source) => source.sizeBytes % rowBytes === 0);
  if (!whole || rows !== nRows) {
    throw new InternalError(
      `Record ${plan.key} plans ${nRows} rows of ${rowBytes} bytes and names sources of ${rows}.`,
    );
  }
  const ends = [matrix.mainOffset + nRows * planeRowBytes.main];
  if (planeRowBytes.side > 0) ends.push(matrix.sideOffset + nRows * planeRowBytes.side);
  if (ends.some((end) => end > plan.sizeBytes)) {
    throw new InternalError(`Record ${plan.key} has ${plan.sizeBytes} bytes; its planes end at ${Math.max(...ends)}.`);
  }
}
