import attentionCooperativeWgsl from '#shaders/attentionCooperative.wgsl';
import attentionThreadWgsl from '#shaders/attentionThread.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import type { AttentionShape } from './ropeAppend.ts';

export interface AttentionArgs {
  /** [T, nHeads, headDim] in rows of `qStride`, rotated. */
  readonly q: BufferView;
  /** [nKvHeads, nCacheSlots, headDim]. */
  readonly kCache: BufferView;
  readonly vCache: BufferView;
  /** [T] how many keys each token sees: its own and those before it. */
  readonly nKeys: BufferView;
  /** As q. */
  readonly y: BufferView;
  readonly shape: AttentionShape;
  readonly qStride: number;
  readonly nCacheSlots: number;
  readonly nTokens: number;
  readonly stage: number;
}

/**
 * y = softmax(q · Kᵀ / sqrt(headDim)) · V over the first nKeys[t] slots; query head h reads kv head
 * floor(h · nKvHeads / nHeads). Never a T × T matrix in memory. headDim is a multiple of 4, at most 256.
 */
export function attention(rec: Recorder, a: AttentionArgs): void {
  const { nHeads, nKvHeads, headDim } = a.shape;
  const { nTokens, nCacheSlots, qStride, stage } = a;
  const dispatch = {
    bindings: { q: a.q, kCache: a.kCache, vCache: a.vCache, nKeys: a.nKeys, y: a.y },
    params: { nTokens, nHeads, nKvHeads, nCacheSlots, qStride, scale: 1 / Math.sqrt(headDim), stage },
    tunables: { HEAD_VECTORS: headDim / 4 },
  };
  if (rec.device.family === 'thread') {
    rec.dispatch({ ...dispatch, shader: attentionThreadWgsl, workgroups: [Math.ceil(nHeads / 4), nTokens] });
  } else {
    rec.dispatch({ ...dispatch, shader: attentionCooperativeWgsl, workgroups: [nHeads, nTokens] });
  }
}
