/** y[t, i] = x[t, i] / sqrt(Σ_j x[t, j]² / dim + eps) · weight[i] in float64. */
export function rmsNormReference(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  nTokens: number,
  dim: number,
  eps: number,
): Float64Array {
  const y = new Float64Array(nTokens * dim);
  for (let t = 0; t < nTokens; t++) {
    let squares = 0;
    for (let i = 0; i < dim; i++) squares += x[t * dim + i]! ** 2;
    const root = Math.sqrt(squares / dim + eps);
    for (let i = 0; i < dim; i++) y[t * dim + i] = (x[t * dim + i]! / root) * weight[i]!;
  }
  return y;
}
