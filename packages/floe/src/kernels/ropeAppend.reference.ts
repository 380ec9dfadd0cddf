import type { AttentionShape } from './kvFormats.ts';
import type { RopePairs } from './ropeAppend.ts';

/** (cos, sin) of place · base^(-2i / ropeDim) for each pair i of each of `places`. */
export function anglesReference(places: readonly number[], ropeDim: number, base: number): Float64Array {
  const angles = new Float64Array(places.length * ropeDim);
  for (const [row, place] of places.entries()) {
    for (let i = 0; i < ropeDim / 2; i++) {
      const angle = place * base ** ((-2 * i) / ropeDim);
      angles[row * ropeDim + 2 * i] = Math.cos(angle);
      angles[row * ropeDim + 2 * i + 1] = Math.sin(angle);
    }
  }
  return angles;
}

/** One head with each pair of its dimensions from `ropeFirst` on turned as one complex number times cos + i·sin. */
export function turnReference(
  head: ArrayLike<number>,
  angles: ArrayLike<number>,
  { pairs, ropeFirst = 0, ropeDim }: { pairs: RopePairs; ropeFirst?: number; ropeDim: number },
): Float64Array {
  const y = Float64Array.from(head);
  for (let pair = 0; pair < ropeDim / 2; pair++) {
    const [a, b] = pairs === 'interleaved' ? [2 * pair, 2 * pair + 1] : [pair, pair + ropeDim / 2];
    const [x0, x1] = [head[ropeFirst + a]!, head[ropeFirst + b]!];
    const [cos, sin] = [angles[2 * pair]!, angles[2 * pair + 1]!];
    y[ropeFirst + a] = x0 * cos - x1 * sin;
    y[ropeFirst + b] = x0 * sin + x1 * cos;
  }
  return y;
}

/** The heads of row t of qkv = [q | k | v]. */
export function headsOf(qkv: Float32Array, t: number, { nHeads, nKvHeads, headDim, valueDim }: AttentionShape) {
  const row = (nHeads + nKvHeads) * headDim + nKvHeads * valueDim;
  const at = (first: number, dim: number, head: number) =>
    qkv.subarray(t * row + first + head * dim, t * row + first + (head + 1) * dim);
  return {
    q: (head: number) => at(0, headDim, head),
    k: (head: number) => at(nHeads * headDim, headDim, head),
    v: (head: number) => at((nHeads + nKvHeads) * headDim, valueDim, head),
  };
}
