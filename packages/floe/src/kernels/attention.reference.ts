import type { AttentionShape } from './ropeAppend.ts';

/**
 * y[t, h] = Σ_j p_j · v[g, j], p = softmax_j(q[t, h] · k[g, j] / sqrt(headDim)) over the first nKeys[t] slots j,
 * g = floor(h · nKvHeads / nHeads), in float64. Zeros where nKeys[t] is 0.
 */
export function attentionReference(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  nKeys: ArrayLike<number>,
  { nHeads, nKvHeads, headDim }: AttentionShape,
  nCacheSlots: number,
): Float64Array {
  const y = new Float64Array(nKeys.length * nHeads * headDim);
  for (let t = 0; t < nKeys.length; t++) {
    for (let head = 0; head < nHeads; head++) {
      const at = (t * nHeads + head) * headDim;
      const cache = Math.floor((head * nKvHeads) / nHeads) * nCacheSlots * headDim;
      const scores: number[] = [];
      for (let key = 0; key < nKeys[t]!; key++) {
        let dot = 0;
        for (let i = 0; i < headDim; i++) dot += q[at + i]! * k[cache + key * headDim + i]!;
        scores.push(dot / Math.sqrt(headDim));
      }
      const greatest = Math.max(...scores);
      const powers = scores.map((score) => Math.exp(score - greatest));
      const total = powers.reduce((sum, power) => sum + power, 0);
      for (const [key, power] of powers.entries()) {
        for (let i = 0; i < headDim; i++) {
          y[at + i] = y[at + i]! + (power / total) * v[cache + key * headDim + i]!;
        }
      }
    }
  }
  return y;
}
