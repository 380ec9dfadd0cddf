/**
 * Attention with sinks as StreamingLLM's authors run it (Xiao et al. 2024), in float64, token by token: a cache that holds
 * keys as they are before they turn, from which the oldest but the sinks is taken out when it is too long, and which turns
 * as a whole by places in the cache. Nothing of it is written as Floe's kernels are: no second query, no ring.
 */
import { matvec, type ReferenceModel, rmsNorm, rope, softmax, swiglu } from './referenceModel.ts';

export interface StreamingOptions {
  /** Tokens in the cache at the most, the newest included. */
  readonly window: number;
  readonly nSinks: number;
  /** For controls: sinks turn as if they stood so many places on. */
  readonly sinksShift?: number;
  /** Hears the weights of each head's attention. */
  readonly onWeights?: (weights: Float64Array) => void;
}

interface Cached {
  readonly key: Float64Array;
  readonly value: Float64Array;
}

/** Logits behind each of `ids`, of a llama without experts. */
export function streamingReference(
  model: ReferenceModel,
  ids: readonly number[],
  options: StreamingOptions,
): Float64Array[] {
  const u32 = (key: string) => model.gguf.metadata.u32(`llama.${key}`);
  const [nLayers, modelDim] = [u32('block_count'), u32('embedding_length')];
  const caches = Array.from({ length: nLayers }, (): Cached[] => []);
  const norm = (x: Float64Array, name: string) => rmsNorm(x, model.weights(`${name}.weight`), 1e-5);
  const add = (a: Float64Array, b: Float64Array) => a.map((value, i) => value + b[i]!);
  return ids.map((id) => {
    let x: Float64Array = model.weights('token_embd.weight').slice(id * modelDim, (id + 1) * modelDim);
    for (const [layer, cache] of caches.entries()) {
      const w = (stem: string) => model.weights(`blk.${layer}.${stem}.weight`);
      const h = norm(x, `blk.${layer}.attn_norm`);
      cache.push({ key: matvec(w('attn_k'), h), value: matvec(w('attn_v'), h) });
      if (cache.length > options.window) cache.splice(options.nSinks, 1);
      x = add(x, matvec(w('attn_output'), attention(model, matvec(w('attn_q'), h), cache, options)));
      x = add(x, swiglu(norm(x, `blk.${layer}.ffn_norm`), w('ffn_gate'), w('ffn_up'), w('ffn_down')));
    }
    return matvec(model.weights('output.weight'), norm(x, 'output_norm'));
  });
}

function attention(
  { gguf }: ReferenceModel,
  q: Float64Array,
  cache: readonly Cached[],
  { nSinks, sinksShift = 0, onWeights }: StreamingOptions,
): Float64Array {
  const u32 = (key: string) => gguf.metadata.u32(`llama.${key}`);
  const [nHeads, nKvHeads] = [u32('attention.head_count'), u32('attention.head_count_kv')];
  const headDim = q.length / nHeads;
  const base = gguf.metadata.optionalF32('llama.rope.freq_base') ?? 10_000;
  const turn = (v: Float64Array, place: number) => rope(v, place, headDim, base, null);
  const part = (v: Float64Array, head: number) => v.subarray(head * headDim, (head + 1) * headDim);
  const y = new Float64Array(q.length);
  for (let head = 0; head < nHeads; head++) {
    const kvHead = Math.floor((head * nKvHeads) / nHeads);
    const query = turn(part(q, head), cache.length - 1);
    const scores = cache.map(({ key }, place) => {
      const turned = turn(part(key, kvHead), place < nSinks ? place + sinksShift : place);
      return turned.reduce((sum, value, i) => sum + value * query[i]!, 0) / Math.sqrt(headDim);
    });
    const weights = softmax(scores);
    onWeights?.(weights);
    for (const [place, { value }] of cache.entries())
      part(value, kvHead).forEach((v, i) => {
        y[head * headDim + i]! += weights[place]! * v;
      });
  }
  return y;
}
