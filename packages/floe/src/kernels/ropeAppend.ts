import pairsHalves from '#shaders/parts/pairs_halves.wgsl';
import pairsInterleaved from '#shaders/parts/pairs_interleaved.wgsl';
import ropeAppendWgsl from '#shaders/ropeAppend.wgsl';
import type { BufferView, Recorder, ShaderPart } from '../gpu/index.ts';

/** Which dimensions of a head turn together. */
export type RopePairs = 'interleaved' | 'halves';

const pairsParts: Readonly<Record<RopePairs, ShaderPart>> = {
  interleaved: pairsInterleaved,
  halves: pairsHalves,
};

export interface AttentionShape {
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
}

export interface RopeAppendArgs {
  /** [T, (nHeads + 2 nKvHeads) · headDim]: q, k, v of each token, in rows of `qkvStride`. */
  readonly qkv: BufferView;
  /** [T, ropeDim / 2] (cos, sin), computed in float64 on the host. */
  readonly angles: BufferView;
  /** [T] the cache slot of each token. */
  readonly cacheSlots: BufferView;
  /** [T, nHeads, headDim] rotated. */
  readonly q: BufferView;
  /** [nKvHeads, nCacheSlots, headDim]. */
  readonly kCache: BufferView;
  readonly vCache: BufferView;
  readonly shape: AttentionShape;
  readonly pairs: RopePairs;
  readonly ropeDim: number;
  readonly qkvStride: number;
  readonly qStride: number;
  readonly nCacheSlots: number;
  readonly nTokens: number;
  readonly stage: number;
}

/** q = R(pos) q; the cache gets R(pos) k and v. Dimensions from ropeDim on pass through. Su et al. 2021. */
export function ropeAppend(rec: Recorder, a: RopeAppendArgs): void {
  const { nHeads, nKvHeads, headDim } = a.shape;
  const { nTokens, ropeDim, qkvStride, qStride, nCacheSlots, stage } = a;
  rec.dispatch({
    shader: ropeAppendWgsl,
    bindings: { qkv: a.qkv, angles: a.angles, cacheSlots: a.cacheSlots, q: a.q, kCache: a.kCache, vCache: a.vCache },
    params: { nTokens, nHeads, nKvHeads, headDim, ropeDim, qkvStride, qStride, nCacheSlots, stage },
    parts: { pairs: pairsParts[a.pairs] },
    workgroups: [Math.ceil(headDim / 2 / 16), nHeads + 2 * nKvHeads, nTokens],
  });
}
