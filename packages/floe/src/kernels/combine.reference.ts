/** y[t] + Σ_rank w[t, rank] · outputs[t, rank] / Σ_rank w[t, rank], rows of `dim`, in float64. */
export function combineReference(
  y: ArrayLike<number>,
  outputs: ArrayLike<number>,
  weights: ArrayLike<number>,
  nTokens: number,
  k: number,
  dim: number,
): Float64Array {
  return Float64Array.from({ length: nTokens * dim }, (_, at) => {
    const [t, i] = [Math.floor(at / dim), at % dim];
    let [sum, mixed] = [0, 0];
    for (let rank = 0; rank < k; rank++) {
      const weight = weights[t * k + rank]!;
      sum += weight;
      mixed += weight * outputs[(t * k + rank) * dim + i]!;
    }
    return y[at]! + mixed / sum;
  });
}
