import { InternalError } from '../errors/index.ts';
import type { DenseMatrix } from '../kernels/index.ts';
import { formatByName, planeBytes } from '../quant/index.ts';

/** Rows of a matrix that lies in one piece, as one of its own, where they lie. */
export function rowsFrom(w: DenseMatrix, first: number, nRows: number): DenseMatrix {
  const before = planeBytes(formatByName(w.format), first, w.rowElements);
  // The side plane is addressed in words, and a row of scales may end within one.
  if (before.side % 4 !== 0) throw new InternalError(`row ${first} of a ${w.format} matrix begins within a word`);
  return { ...w, nRows, mainOffset: w.mainOffset + before.main, sideOffset: w.sideOffset + before.side };
}
