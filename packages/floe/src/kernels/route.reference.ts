/**
 * The k experts of the greatest logits, best first (ties: the lower id first; NaN behind every number), and their weights
 * exp(logit - greatest), of one token in float64.
 */
export function routeReference(logits: ArrayLike<number>, k: number): { ids: number[]; weights: number[] } {
  const scores = Array.from(logits);
  const numbers = scores.filter((score) => !Number.isNaN(score));
  const greatest = numbers.reduce((most, score) => Math.max(most, score), -Infinity);
  const ids = scores
    .map((_, id) => id)
    .sort((a, b) => {
      if (Number.isNaN(scores[a]!) || Number.isNaN(scores[b]!)) {
        return Number(Number.isNaN(scores[a]!)) - Number(Number.isNaN(scores[b]!)) || a - b;
      }
      return scores[b]! - scores[a]! || a - b;
    })
    .slice(0, k);
  const weight = (score: number) => {
    if (Number.isNaN(score)) return 0;
    return score === greatest ? 1 : Math.exp(score - greatest);
  };
  return { ids, weights: ids.map((id) => weight(scores[id]!)) };
}
