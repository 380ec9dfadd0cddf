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
  /** Of q · k; default 1 / sqrt(headDim). */
  readonly scale?: number;
  readonly stage: number;
}

/**
 * y = softmax(q · Kᵀ / sqrt(headDim)) · V over the first nKeys[t] slots; query head h reads kv head
 * floor(h · nKvHeads / nHeads). Never a T × T matrix in memory. headDim is a multiple of 4, at most 256.
 */
export function attention(rec: Recorder, a: AttentionArgs): void {
  const { nHeads, nKvHeads, headDim } = a.shape;
  const { nTokens, nCacheSlots, qStride, stage } = a;
  const HEAD_VECTORS = headDim / 4;
  const dispatch = {
    bindings: { q: a.q, kCache: a.kCache, vCache: a.vCache, nKeys: a.nKeys, y: a.y },
    params: { nTokens, nHeads, nKvHeads, nCacheSlots, qStride, scale: a.scale ?? 1 / Math.sqrt(headDim), stage },
  };
  if (rec.device.family === 'thread') {
    const HEADS = headsTogether(nHeads / nKvHeads);
    const workgroups = [Math.ceil(nHeads / HEADS / 4), nTokens] as const;
    rec.dispatch({ ...dispatch, shader: attentionThreadWgsl, tunables: { HEAD_VECTORS, HEADS }, workgroups });
  } else {
    rec.dispatch({
      ...dispatch,
      shader: attentionCooperativeWgsl,
      tunables: { HEAD_VECTORS },
      workgroups: [nHeads, nTokens],
    });
  }
}

/** How many of the `group` query heads that share a kv head one invocation takes: as many as divide it evenly, up to 8. */
function headsTogether(group: number): number {
  for (let heads = Math.min(group, 8); heads > 1; heads--) if (group % heads === 0) return heads;
  return 1;
}
