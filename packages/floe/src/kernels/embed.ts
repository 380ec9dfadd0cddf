import embedWgsl from '#shaders/embed.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import { GROUP_ELEMENTS, rowStride } from '../quant/index.ts';
import { type DenseMatrix, unpackParts } from './matrix.ts';

export interface EmbedArgs {
  /** [T] ids. */
  readonly tokens: BufferView;
  /** [nVocab, modelDim]. */
  readonly w: DenseMatrix;
  /** [T, modelDim]. */
  readonly x: BufferView;
  readonly nTokens: number;
  /** Default 1. */
  readonly scale?: number;
}

/** x[T, modelDim] = scale · rows `tokens[T]` of `w`, unpacked. Of a matrix in pieces each writes the tokens it has. */
export function embed(rec: Recorder, a: EmbedArgs): void {
  const nGroups = rowStride(a.w.rowElements) / GROUP_ELEMENTS;
  let firstRow = 0;
  for (const piece of a.w.pieces ?? [a.w]) {
    rec.dispatch({
      shader: embedWgsl,
      bindings: { main: piece.record, side: piece.record, tokens: a.tokens, x: a.x },
      params: {
        nTokens: a.nTokens,
        nVocab: a.w.nRows,
        firstRow,
        nRows: piece.nRows,
        nGroups,
        mainBase: piece.mainOffset / 16,
        sideBase: piece.sideOffset / 4,
        scale: a.scale ?? 1,
      },
      parts: { unpack: unpackParts[a.w.format] },
      workgroups: [Math.ceil(nGroups / 16), a.nTokens],
    });
    firstRow += piece.nRows;
  }
}
