import type { ModelShape } from './architecture.ts';

/**
 * Rotation angles of positions first … first + n - 1 as (cos, sin) pairs [n, ropeDim / 2]. Computed and reduced in
 * double precision: in f32 the angle of position 4,000,000 would be off by a quarter of a radian. Su et al. 2021;
 * `ropeScale` divides positions (Chen et al. 2023), `freqs` are the divisors of Llama 3.1.
 */
export function ropeAngles(
  { ropeDim, ropeBase, ropeScale }: Pick<ModelShape, 'ropeDim' | 'ropeBase' | 'ropeScale'>,
  freqs: Float32Array | null,
  first: number,
  n: number,
): Float32Array {
  const nPairs = ropeDim / 2;
  const out = new Float32Array(n * nPairs * 2);
  for (let pair = 0; pair < nPairs; pair++) {
    const frequency = ropeBase ** ((-2 * pair) / ropeDim) / (freqs?.[pair] ?? 1) / ropeScale;
    for (let i = 0; i < n; i++) {
      const angle = (first + i) * frequency;
      out[(i * nPairs + pair) * 2] = Math.cos(angle);
      out[(i * nPairs + pair) * 2 + 1] = Math.sin(angle);
    }
  }
  return out;
}
