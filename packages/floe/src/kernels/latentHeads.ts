import latentHeadsWgsl from '#shaders/latentHeads.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';

/** Heads in rows of a buffer: how far from one head to the next, and where in its place what is meant begins. */
export interface HeadRows {
  readonly view: BufferView;
  readonly stride: number;
  readonly headStride: number;
  readonly offset: number;
}

export interface LatentHeadsArgs {
  /** [T, nHeads, plainDim + ropeDim]. */
  readonly q: BufferView;
  /** [T, nHeads, plainDim], from the beginning of each head's place. */
  readonly keys: Omit<HeadRows, 'offset'>;
  /** [T, ropeDim], one for all heads. */
  readonly keyRope: BufferView;
  /** [T, nHeads, valueDim]. */
  readonly values: HeadRows;
  /** [T, q | k | v] in rows of `qkvStride`. */
  readonly qkv: BufferView;
  readonly qkvStride: number;
  readonly nTokens: number;
  readonly nHeads: number;
  readonly plainDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
  readonly stage: number;
}

/** Puts queries, keys and values of latent attention where those of any other lie, rotated dimensions first. */
export function latentHeads(rec: Recorder, a: LatentHeadsArgs): void {
  const { nHeads, plainDim, ropeDim, valueDim, qkvStride, nTokens, stage } = a;
  const nValues = nHeads * (2 * (plainDim + ropeDim) + valueDim);
  rec.dispatch({
    shader: latentHeadsWgsl,
    bindings: { q: a.q, keys: a.keys.view, keyRope: a.keyRope, values: a.values.view, qkv: a.qkv },
    params: {
      nHeads,
      plainDim,
      ropeDim,
      valueDim,
      qStride: rowStride(nHeads * (plainDim + ropeDim)),
      kStride: a.keys.stride,
      kHeadStride: a.keys.headStride,
      vStride: a.values.stride,
      vHeadStride: a.values.headStride,
      vOffset: a.values.offset,
      ropeStride: rowStride(ropeDim),
      qkvStride,
      stage,
    },
    workgroups: [Math.ceil(nValues / 32), nTokens],
  });
}
