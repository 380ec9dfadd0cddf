import type { RopeAppendArgs } from './ropeAppend.ts';

/** (cos, sin) of position · base^(-2i / ropeDim) for each pair i of each token. */
export function anglesReference(positions: readonly number[], ropeDim: number, base: number): Float64Array {
  const angles = new Float64Array(positions.length * ropeDim);
  for (const [t, position] of positions.entries()) {
    for (let i = 0; i < ropeDim / 2; i++) {
      const angle = position * base ** ((-2 * i) / ropeDim);
      angles[t * ropeDim + 2 * i] = Math.cos(angle);
      angles[t * ropeDim + 2 * i + 1] = Math.sin(angle);
    }
  }
  return angles;
}

/**
 * Of rows qkv[t] = [q | k | v]: q and k with dimensions (2i, 2i + 1) of each head turned as one complex number times
 * cos + i·sin, those from ropeDim on as they were; k and v at their tokens' slots of caches that else keep `fill`.
 */
export function ropeAppendReference(
  qkv: ArrayLike<number>,
  angles: ArrayLike<number>,
  cacheSlots: readonly number[],
  { shape, ropeDim, nCacheSlots }: Pick<RopeAppendArgs, 'shape' | 'ropeDim' | 'nCacheSlots'>,
  fill: number,
): { q: Float64Array; k: Float64Array; v: Float64Array } {
  const { nHeads, nKvHeads, headDim } = shape;
  const q = new Float64Array(cacheSlots.length * nHeads * headDim);
  const k = new Float64Array(nKvHeads * nCacheSlots * headDim).fill(fill);
  const v = k.slice();
  for (const [t, slot] of cacheSlots.entries()) {
    const row = t * (nHeads + 2 * nKvHeads) * headDim;
    const turned = (head: number, i: number) => {
      const at = row + head * headDim + i;
      if (i >= ropeDim) return qkv[at]!;
      const pair = t * ropeDim + i - (i % 2);
      const [cos, sin] = [angles[pair]!, angles[pair + 1]!];
      return i % 2 === 0 ? qkv[at]! * cos - qkv[at + 1]! * sin : qkv[at - 1]! * sin + qkv[at]! * cos;
    };
    for (let i = 0; i < headDim; i++) {
      for (let head = 0; head < nHeads; head++) q[(t * nHeads + head) * headDim + i] = turned(head, i);
      for (let head = 0; head < nKvHeads; head++) {
        const to = (head * nCacheSlots + slot) * headDim + i;
        k[to] = turned(nHeads + head, i);
        v[to] = qkv[row + (nHeads + nKvHeads + head) * headDim + i]!;
      }
    }
  }
  return { q, k, v };
}
