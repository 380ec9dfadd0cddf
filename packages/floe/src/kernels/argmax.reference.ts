/** The id of the greatest logit; ties: the lowest id; NaN never wins, and where all are NaN it is 0. */
export function argmaxReference(logits: ArrayLike<number>): number {
  let best = -1;
  for (let id = 0; id < logits.length; id++) {
    if (!Number.isNaN(logits[id]!) && (best < 0 || logits[id]! > logits[best]!)) best = id;
  }
  return Math.max(best, 0);
}
