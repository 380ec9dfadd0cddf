import type { SinkWindow } from './attention.ts';
import type { AttentionShape } from './kvFormats.ts';

/**
 * Positions a query at `position` sees, in order: the first `nSinks`, and the most recent ones up to `window` in all; in a
 * text whose tokens see ahead, all up to `lastKey`.
 */
export function visibleKeys(position: number, { window, nSinks, lastKey = 0 }: VisibleKeys): number[] {
  if (position < window) return Array.from({ length: Math.max(position, lastKey) + 1 }, (_, key) => key);
  const nRecent = window - nSinks;
  return [
    ...Array.from({ length: nSinks }, (_, key) => key),
    ...Array.from({ length: nRecent }, (_, i) => position - nRecent + 1 + i),
  ];
}

export interface VisibleKeys extends SinkWindow {
  readonly lastKey?: number;
}

export interface AttentionReferenceArgs extends VisibleKeys {
  /** [T, 2, nHeads, headDim]: for the keys behind the sinks, for the sinks. */
  readonly q: ArrayLike<number>;
  readonly positions: readonly number[];
  /** A kv head's key and value at a position of token t's conversation. */
  readonly key: (t: number, position: number, kvHead: number) => ArrayLike<number>;
  readonly value: (t: number, position: number, kvHead: number) => ArrayLike<number>;
  readonly shape: AttentionShape;
  readonly scale?: number;
  readonly softCap?: number;
  readonly sinkLogits?: ArrayLike<number> | undefined;
}

/**
 * y[t, h] = Σ_j p_j · v[g, j], p = softmax_j(q[t, h] · k[g, j] · scale) over the keys that t sees, g = floor(h · nKvHeads /
 * nHeads), in float64. A sink logit takes part in the softmax and has no value.
 */
export function attentionReference(a: AttentionReferenceArgs): Float64Array {
  const { nHeads, nKvHeads, headDim, valueDim } = a.shape;
  const { scale = 1 / Math.sqrt(headDim), softCap = 0 } = a;
  const y = new Float64Array(a.positions.length * nHeads * valueDim);
  for (const [t, position] of a.positions.entries()) {
    const seen = visibleKeys(position, a);
    for (let head = 0; head < nHeads; head++) {
      const kvHead = Math.floor((head * nKvHeads) / nHeads);
      const scores = seen.map((key) => {
        const at = ((2 * t + (key < a.nSinks ? 1 : 0)) * nHeads + head) * headDim;
        const k = a.key(t, key, kvHead);
        let dot = 0;
        for (let i = 0; i < headDim; i++) dot += a.q[at + i]! * k[i]!;
        return softCap === 0 ? dot * scale : softCap * Math.tanh((dot * scale) / softCap);
      });
      const logit = a.sinkLogits?.[head];
      const greatest = Math.max(...scores, logit ?? Number.NEGATIVE_INFINITY);
      const powers = scores.map((score) => Math.exp(score - greatest));
      const total = powers.reduce((sum, power) => sum + power, logit === undefined ? 0 : Math.exp(logit - greatest));
      for (const [i, power] of powers.entries()) {
        const v = a.value(t, seen[i]!, kvHead);
        for (let dim = 0; dim < valueDim; dim++) {
          const at = (t * nHeads + head) * valueDim + dim;
          y[at] = y[at]! + (power / total) * v[dim]!;
        }
      }
    }
  }
  return y;
}
