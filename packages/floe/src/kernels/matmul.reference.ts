/** y[T, N] = x[T, K] · Wᵀ in float64: the plainest loop that is right. */
export function matmulReference(
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  nTokens: number,
  n: number,
  k: number,
): Float64Array {
  const y = new Float64Array(nTokens * n);
  for (let t = 0; t < nTokens; t++) {
    for (let row = 0; row < n; row++) {
      let sum = 0;
      for (let i = 0; i < k; i++) sum += x[t * k + i]! * w[row * k + i]!;
      y[t * n + row] = sum;
    }
  }
  return y;
}

/** silu(gate) · up of rows [gate | up], each `n` wide. Shazeer 2020. */
export function swigluReference(gateUp: ArrayLike<number>, nTokens: number, n: number): Float64Array {
  return Float64Array.from({ length: nTokens * n }, (_, i) => {
    const [t, at] = [Math.floor(i / n), i % n];
    const gate = gateUp[t * 2 * n + at]!;
    return (gate / (1 + Math.exp(-gate))) * gateUp[t * 2 * n + n + at]!;
  });
}

/** By its tanh form (Hendrycks & Gimpel 2016). */
export function geluReference(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** gelu(gate) · up of rows [gate | up], each `n` wide. */
export function gegluReference(gateUp: ArrayLike<number>, nTokens: number, n: number): Float64Array {
  return Float64Array.from({ length: nTokens * n }, (_, i) => {
    const [t, at] = [Math.floor(i / n), i % n];
    const gate = gateUp[t * 2 * n + at]!;
    return geluReference(gate) * gateUp[t * 2 * n + n + at]!;
  });
}
