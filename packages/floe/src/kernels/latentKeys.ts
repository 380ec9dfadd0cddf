import latentKeysWgsl from '#shaders/latentKeys.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import { GROUP_ELEMENTS, rowStride } from '../quant/index.ts';
import { type DenseMatrix, unpackParts } from './matrix.ts';

export interface LatentKeysArgs {
  /** [T, rank]. */
  readonly latent: BufferView;
  /** [nHeads · rank, plainDim]. */
  readonly w: DenseMatrix;
  /** [T, nHeads, plainDim]. */
  readonly y: BufferView;
  readonly nTokens: number;
  readonly nHeads: number;
  readonly stage: number;
}

/** y[T, nHeads, plainDim] = Σ_r latent[T, r] · w[head, r]: each head's key but for what turns. */
export function latentKeys(rec: Recorder, { latent, w, y, nTokens, nHeads, stage }: LatentKeysArgs): void {
  const rank = w.nRows / nHeads;
  const nGroups = rowStride(w.rowElements) / GROUP_ELEMENTS;
  rec.dispatch({
    shader: latentKeysWgsl,
    parts: { unpack: unpackParts[w.format] },
    bindings: { main: w.record, side: w.record, latent, y },
    params: {
      nHeads,
      rank,
      nGroups,
      plainDim: w.rowElements,
      latentStride: rowStride(rank),
      yStride: rowStride(nHeads * w.rowElements),
      mainBase: w.mainOffset / 16,
      sideBase: w.sideOffset / 4,
      stage,
    },
    workgroups: [Math.ceil((nHeads * nGroups) / 16), nTokens],
  });
}
