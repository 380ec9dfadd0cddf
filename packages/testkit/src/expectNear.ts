/**
 * How far two lists of numbers are apart: Σ(actual - expected)² / Σ expected², the measure of ggml's own backend tests.
 * Infinity if the lengths differ or a number of either is not finite, so that `toBeLessThan` fails on it.
 */
export function nmse(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let error = 0;
  let power = 0;
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i]! - expected[i]!) ** 2;
    power += expected[i]! ** 2;
  }
  if (!Number.isFinite(error) || !Number.isFinite(power)) return Infinity;
  if (error === 0) return 0;
  return power === 0 ? Infinity : error / power;
}

/** The largest difference of two entries, and where it is. */
export function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): { index: number; difference: number } {
  let found = { index: -1, difference: 0 };
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs(actual[index]! - expected[index]!);
    // Written so that NaN is worst.
    if (!(difference <= found.difference)) found = { index, difference };
    if (Number.isNaN(difference)) break;
  }
  return found;
}

/** Throws, saying where it is worst, unless `nmse(actual, expected) <= limit`. */
export function expectNear(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  limit: number,
  what = 'values',
): void {
  const found = nmse(actual, expected);
  if (found <= limit) return;
  const { index, difference } = worst(actual, expected);
  throw new Error(
    `${what}: nmse ${found.toExponential(2)} is over ${limit.toExponential(2)} (${actual.length} values, ${expected.length} expected); ` +
      `worst at ${index}: ${actual[index]} instead of ${expected[index]}, off by ${difference}`,
  );
}

/** Σ p·(log p - log q): how much the distribution with log-probabilities `logQ` differs from that with `logP`. */
export function klDivergence(logP: ArrayLike<number>, logQ: ArrayLike<number>): number {
  let divergence = 0;
  for (let i = 0; i < logP.length; i++) divergence += Math.exp(logP[i]!) * (logP[i]! - logQ[i]!);
  return divergence;
}

/** log softmax, in float64. */
export function logSoftmax(logits: ArrayLike<number>): Float64Array {
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) max = Math.max(max, logits[i]!);
  let total = 0;
  for (let i = 0; i < logits.length; i++) total += Math.exp(logits[i]! - max);
  const logTotal = max + Math.log(total);
  return Float64Array.from({ length: logits.length }, (_, i) => logits[i]! - logTotal);
}
