/** y[t, i] = (x[t, i] - mean) / sqrt(variance + eps) · weight[i] + bias[i] in float64. */
export function layerNormReference(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  bias: ArrayLike<number> | null,
  nTokens: number,
  dim: number,
  eps: number,
): Float64Array {
  const y = new Float64Array(nTokens * dim);
  for (let t = 0; t < nTokens; t++) {
    let sum = 0;
    for (let i = 0; i < dim; i++) sum += x[t * dim + i]!;
    const mean = sum / dim;
    let squares = 0;
    for (let i = 0; i < dim; i++) squares += (x[t * dim + i]! - mean) ** 2;
    const root = Math.sqrt(squares / dim + eps);
    for (let i = 0; i < dim; i++) {
      y[t * dim + i] = ((x[t * dim + i]! - mean) / root) * weight[i]! + (bias?.[i] ?? 0);
    }
  }
  return y;
}
