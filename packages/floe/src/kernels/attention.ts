import attentionCooperativeWgsl from '#shaders/attentionCooperative.wgsl';
import attentionMergeWgsl from '#shaders/attentionMerge.wgsl';
import attentionSplitCooperativeWgsl from '#shaders/attentionSplitCooperative.wgsl';
import attentionSplitThreadWgsl from '#shaders/attentionSplitThread.wgsl';
import attentionThreadWgsl from '#shaders/attentionThread.wgsl';
import sinkLogitsLearned from '#shaders/parts/sinkLogits_learned.wgsl';
import sinkLogitsNone from '#shaders/parts/sinkLogits_none.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import { type AttentionShape, type KvView, kvFormats } from './kvFormats.ts';

/** The keys a query sees: `window` at the most, the first `nSinks` of its conversation and itself included. */
export interface SinkWindow {
  readonly window: number;
  /** At most `window` - 1. */
  readonly nSinks: number;
}

export interface AttentionArgs extends SinkWindow {
  /** [T, 2, nHeads, headDim] in rows of `qStride`: rotated at a token's position, and for the sinks. */
  readonly q: BufferView;
  readonly kv: KvView;
  /** [T, nHeads, valueDim] in rows of `yStride`. */
  readonly y: BufferView;
  /** Room for `partialBytes`; null where no step of this window needs it. */
  readonly partials: BufferView | null;
  readonly shape: AttentionShape;
  readonly qStride: number;
  readonly yStride: number;
  /** What scores are multiplied with; by itself 1 / sqrt(headDim). */
  readonly scale?: number;
  /** Scores become cap · tanh(score / cap) (gemma2). */
  readonly softCap?: number;
  /** [nHeads] logits that take part in the softmax and add nothing to the sum (gpt-oss). */
  readonly sinkLogits?: BufferView;
  /** The last position of a text whose tokens see ahead: all see up to it. By itself none sees beyond its own. */
  readonly lastKey?: number;
  readonly nTokens: number;
  readonly stage: number;
}

/** SPLIT in shaders/parts/attentionHead.wgsl. */
const SPLIT = 128;
/** Tokens of a step that share nothing, at the most; with more of them they are tokens of prompts, which do. */
export const FEW_TOKENS = 8;
/** From this window on a few tokens are spread over more invocations than they have heads. */
const LONG_WINDOW = 512;
/** More than these are not spent on it: what has no room is computed unspread, to the same bits. */
const PARTIAL_BYTES = 16 << 20;
/** Queries that one invocation, or workgroup, owns at the most. */
const MOST_ROWS = 8;

/**
 * y = softmax(q · Kᵀ · scale) · V over the keys of a sliding window with sinks, StreamingLLM's: positions count within
 * the cache, so the sinks are met by a query rotated at min(position, window - 1). A row's bits depend on its own
 * conversation alone, however its tokens are cut into steps. Xiao et al. 2024; never a T × T matrix in memory.
 */
export function attention(rec: Recorder, a: AttentionArgs): void {
  const { nHeads, nKvHeads, headDim, valueDim } = a.shape;
  const { nTokens, qStride, yStride, window, nSinks, stage } = a;
  const { kv, places, blockTable, fixedBlocks, tableBlocks, format } = a.kv;
  const HEADS = headsTogether(nHeads / nKvHeads);
  const TOKENS = nTokens <= FEW_TOKENS ? 1 : Math.floor(MOST_ROWS / HEADS);
  const nSplits = splitsOf(a);
  const isSplit =
    nTokens <= FEW_TOKENS &&
    window >= LONG_WINDOW &&
    partialRowBytes(a.shape, a) * nTokens <= (a.partials?.sizeBytes ?? 0);
  const params = { nTokens, nHeads, nKvHeads, qStride, yStride, window, nSinks, fixedBlocks, tableBlocks };
  const { scale = 1 / Math.sqrt(headDim), softCap = 0, lastKey = 0 } = a;
  const dims = { KEY_VECTORS: headDim / 4, VALUE_VECTORS: valueDim / 4 };
  const rows = { HEADS, TOKENS, ROWS: HEADS * TOKENS };
  const common = { params: { ...params, nSplits: isSplit ? nSplits : 1, scale, softCap, lastKey, stage } };
  const bindings = { q: a.q, kv, places, blockTable };
  const load = kvFormats[format].load;
  const sinkLogits = a.sinkLogits ? sinkLogitsLearned : sinkLogitsNone;
  const finishing = { y: a.y, ...(a.sinkLogits ? { sinkLogits: a.sinkLogits } : {}) };
  const nGroups = nHeads / HEADS;
  const isThread = rec.device.family === 'thread';
  const VECTORS = vectorsTogether(valueDim / 4, rows.ROWS);
  const thread = { ...dims, ...rows, VECTORS, ROW_SUMS: rows.ROWS * VECTORS };
  if (isSplit) {
    const split = { ...common, bindings: { ...bindings, partials: a.partials! }, parts: { kv: load } };
    if (isThread) {
      const workgroups = [Math.ceil((nGroups * nSplits) / 4), nTokens] as const;
      rec.dispatch({ ...split, shader: attentionSplitThreadWgsl, tunables: thread, workgroups });
    } else {
      const workgroups = [nGroups, nTokens, nSplits] as const;
      rec.dispatch({ ...split, shader: attentionSplitCooperativeWgsl, tunables: { ...dims, ...rows }, workgroups });
    }
    rec.dispatch({
      ...common,
      shader: attentionMergeWgsl,
      bindings: { ...bindings, ...finishing, partials: a.partials! },
      parts: { kv: load, sinkLogits },
      tunables: dims,
      workgroups: [Math.ceil((nHeads * valueDim) / 4 / 32), nTokens],
    });
    return;
  }
  const whole = { ...common, bindings: { ...bindings, ...finishing }, parts: { kv: load, sinkLogits } };
  const nTiles = Math.ceil(nTokens / TOKENS);
  if (isThread) {
    const workgroups = [Math.ceil((nGroups * nTiles) / 4)] as const;
    rec.dispatch({ ...whole, shader: attentionThreadWgsl, tunables: thread, workgroups });
  } else {
    const tunables = { ...dims, ...rows };
    rec.dispatch({ ...whole, shader: attentionCooperativeWgsl, tunables, workgroups: [nGroups, nTiles] });
  }
}

/** Bytes of `partials` for steps of at most `nTokens` tokens; 0 where none is wanted. */
export function partialBytes(shape: AttentionShape, window: SinkWindow, nTokens: number): number {
  if (window.window < LONG_WINDOW) return 0;
  const rowBytes = partialRowBytes(shape, window);
  return rowBytes * Math.min(nTokens, FEW_TOKENS, Math.max(1, Math.floor(PARTIAL_BYTES / rowBytes)));
}

function partialRowBytes({ nHeads, valueDim }: AttentionShape, window: SinkWindow): number {
  return nHeads * splitsOf(window) * (valueDim + 4) * 4;
}

/** Stretches that hold keys of one query, at the most. */
function splitsOf({ window, nSinks }: SinkWindow): number {
  return Math.ceil(nSinks / SPLIT) + Math.ceil((window - 1) / SPLIT) + 1;
}

/** How many of the `group` query heads that share a kv head are taken together: as many as divide it evenly, up to 8. */
function headsTogether(group: number): number {
  for (let heads = Math.min(group, MOST_ROWS); heads > 1; heads--) if (group % heads === 0) return heads;
  return 1;
}

/** Vectors of a value that one invocation sums together: as many as divide it, while its sums stay in registers. */
function vectorsTogether(nVectors: number, rows: number): number {
  for (const vectors of [4, 2]) if (nVectors % vectors === 0 && rows * vectors <= 16) return vectors;
  return 1;
}
