/** What `sampling` holds, in its order. */
export interface SamplingValues {
  readonly temperature: number;
  /** 0: as many as there may be, 1024. */
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  /** In [0, 1). */
  readonly u: number;
}

/** Whom the numbers leave, greatest first, with their probabilities. */
export interface Candidates {
  readonly ids: readonly number[];
  readonly probabilities: readonly number[];
  /** How near a cut came to falling elsewhere: the least difference of a mass or a weight from the bound it was held to. */
  readonly margin: number;
}

/** The order of llama.cpp's samplers: top-k, top-p, min-p, temperature. In float64. */
export function candidatesReference(
  logits: ArrayLike<number>,
  { temperature, topK, topP, minP }: Omit<SamplingValues, 'u'>,
): Candidates {
  // NaN comes behind all; equal logits, and NaN among themselves, by rising id.
  const ranked = Array.from(logits, (logit, id) => ({ logit, id, isNaN: Number.isNaN(logit) }));
  ranked.sort(
    (a, b) => Number(a.isNaN) - Number(b.isNaN) || (a.logit > b.logit ? -1 : a.logit < b.logit ? 1 : a.id - b.id),
  );
  const kept = ranked.slice(0, Math.min(topK || 1024, 1024));
  const greatest = kept[0]!.logit;
  const weight = (logit: number, t: number) => {
    if (Number.isNaN(logit) || logit === -Infinity) return 0;
    return logit === greatest ? 1 : Math.exp((logit - greatest) / t);
  };
  const total = kept.reduce((sum, { logit }) => sum + weight(logit, 1), 0);
  let margin = Infinity;
  let mass = 0;
  let n = 0;
  for (const { logit } of kept) {
    const probability = total === 0 ? 0 : weight(logit, 1) / total;
    if (n > 0) {
      const massLeft = topP < 1 ? topP - mass : Infinity;
      const aboveMin = minP > 0 ? weight(logit, 1) - minP : Infinity;
      margin = Math.min(margin, Math.abs(massLeft), Math.abs(aboveMin));
      if (massLeft <= 0 || aboveMin < 0) break;
    }
    mass += probability;
    n++;
  }
  const left = kept.slice(0, temperature === 0 ? 1 : n);
  const weights = left.map(({ logit }) => weight(logit, temperature || 1));
  const sum = weights.reduce((a, b) => a + b, 0);
  return { ids: left.map(({ id }) => id), probabilities: weights.map((w) => (sum === 0 ? 0 : w / sum)), margin };
}

/**
 * The candidate within whose share of the sum u falls, and how far u is from the nearest border between two of them. The
 * last that has a share where u is 1; the first candidate where none has.
 */
export function pickReference({ ids, probabilities }: Candidates, u: number): { id: number; margin: number } {
  let margin = Infinity;
  let mass = 0;
  let picked = ids[0]!;
  for (const [i, id] of ids.entries()) {
    if (probabilities[i] === 0) continue;
    if (mass > 0) margin = Math.min(margin, Math.abs(mass - u));
    if (mass <= u) picked = id;
    mass += probabilities[i]!;
  }
  return { id: picked, margin };
}
