import pairsHalves from '#shaders/parts/pairs_halves.wgsl';
import pairsInterleaved from '#shaders/parts/pairs_interleaved.wgsl';
import ropeAppendWgsl from '#shaders/ropeAppend.wgsl';
import type { BufferView, Recorder, ShaderPart } from '../gpu/index.ts';
import { type AttentionShape, type KvView, kvFormats } from './kvFormats.ts';

/** Which dimensions of a head turn together: 2i with 2i + 1, or i with i + ropeDim / 2. */
export type RopePairs = 'interleaved' | 'halves';

const pairsParts: Readonly<Record<RopePairs, ShaderPart>> = { interleaved: pairsInterleaved, halves: pairsHalves };

export interface RopeAppendArgs {
  /** [T, nHeads · headDim | nKvHeads · headDim | nKvHeads · valueDim]: q, k, v of each token, in rows of `qkvStride`. */
  readonly qkv: BufferView;
  /** [T, 2, ropeDim / 2] (cos, sin), computed in float64 on the host: of a token's position, then of its place as the window's sinks see it. */
  readonly angles: BufferView;
  /** [T, 2, nHeads, headDim] rotated by both, each in a row of `qStride`. */
  readonly q: BufferView;
  readonly kv: KvView;
  readonly shape: AttentionShape;
  readonly pairs: RopePairs;
  /** The first dimension that turns; 0 where it is not said. */
  readonly ropeFirst?: number;
  readonly ropeDim: number;
  readonly qkvStride: number;
  readonly qStride: number;
  readonly nTokens: number;
  readonly stage: number;
}

/**
 * q = (R(pos) q, R(place) q); the cache gets R(pos) k and v, rounded to its format. Dimensions before `ropeFirst` and
 * from `ropeFirst + ropeDim` on pass through. Su et al. 2021.
 */
export function ropeAppend(rec: Recorder, a: RopeAppendArgs): void {
  const { nHeads, nKvHeads, headDim, valueDim } = a.shape;
  const { nTokens, ropeFirst = 0, ropeDim, qkvStride, qStride, stage } = a;
  const { kv, places, blockTable, fixedBlocks, tableBlocks, format } = a.kv;
  const nGroups = Math.ceil(Math.max(headDim, valueDim) / 32);
  rec.dispatch({
    shader: ropeAppendWgsl,
    bindings: { qkv: a.qkv, angles: a.angles, q: a.q, kv, places, blockTable },
    params: { nTokens, nHeads, nKvHeads, ropeFirst, ropeDim, qkvStride, qStride, fixedBlocks, tableBlocks, stage },
    parts: { pairs: pairsParts[a.pairs], kv: kvFormats[format].store },
    tunables: { KEY_VECTORS: headDim / 4, VALUE_VECTORS: valueDim / 4 },
    workgroups: [Math.ceil(((nHeads + nKvHeads) * nGroups) / 16), nTokens],
  });
}
