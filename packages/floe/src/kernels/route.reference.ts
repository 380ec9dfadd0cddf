export interface ReferenceGating {
  readonly kind: 'softmax' | 'sigmoid';
  readonly renormalise: boolean;
  readonly groups: { readonly nGroups: number; readonly nGroupsUsed: number } | null;
  readonly bias: ArrayLike<number> | null;
}

const SOFTMAX: ReferenceGating = { kind: 'softmax', renormalise: true, groups: null, bias: null };

/**
 * The k experts of the greatest scores, best first (ties: the lower id first; NaN behind every number), their weights,
 * and the score of the last of them over that of the first one not, of one token in float64. Of a softmax to be made to
 * sum to 1, scores are logits and weights exp(logit - greatest); else weights are probabilities, and scores those plus
 * bias, and nothing outside the best groups (by the sum of their two best scores).
 */
export function routeReference(
  logits: ArrayLike<number>,
  k: number,
  gating: ReferenceGating = SOFTMAX,
): { ids: number[]; weights: number[]; margin: number } {
  const isByLogits = gating.kind === 'softmax' && gating.renormalise && !gating.bias && !gating.groups;
  const probabilities = Array.from(logits, probabilityOf(logits, gating.kind));
  const scores = isByLogits ? Array.from(logits) : withinGroups(probabilities, gating);
  const order = byFallingScore(scores);
  const ids = order.slice(0, k);
  const numbers = scores.filter((score) => !Number.isNaN(score));
  const greatest = numbers.reduce((most, score) => Math.max(most, score), -Infinity);
  const weight = (id: number) => {
    if (!isByLogits) return probabilities[id]!;
    const score = scores[id]!;
    if (Number.isNaN(score)) return 0;
    return score === greatest ? 1 : Math.exp(score - greatest);
  };
  const next = order[k];
  const margin = next === undefined ? Infinity : scores[ids.at(-1)!]! - scores[next]!;
  return { ids, weights: ids.map(weight), margin };
}

function byFallingScore(scores: readonly number[]): number[] {
  return scores
    .map((_, id) => id)
    .sort((a, b) => {
      if (Number.isNaN(scores[a]!) || Number.isNaN(scores[b]!)) {
        return Number(Number.isNaN(scores[a]!)) - Number(Number.isNaN(scores[b]!)) || a - b;
      }
      return scores[a] === scores[b] ? a - b : scores[b]! - scores[a]!;
    });
}

function probabilityOf(logits: ArrayLike<number>, kind: ReferenceGating['kind']): (logit: number) => number {
  if (kind === 'sigmoid') return (logit) => 1 / (1 + Math.exp(-logit));
  const all = Array.from(logits);
  const greatest = Math.max(...all);
  const sum = all.reduce((total, logit) => total + Math.exp(logit - greatest), 0);
  return (logit) => Math.exp(logit - greatest) / sum;
}

function withinGroups(probabilities: readonly number[], { groups, bias }: ReferenceGating): number[] {
  const scores = probabilities.map((probability, id) => probability + (bias?.[id] ?? 0));
  if (!groups) return scores;
  const size = scores.length / groups.nGroups;
  const groupScores = Array.from({ length: groups.nGroups }, (_, group) => {
    const [best = 0, second = 0] = scores.slice(group * size, (group + 1) * size).sort((a, b) => b - a);
    return best + second;
  });
  const kept = byFallingScore(groupScores).slice(0, groups.nGroupsUsed);
  return scores.map((score, id) => (kept.includes(Math.floor(id / size)) ? score : -Infinity));
}
