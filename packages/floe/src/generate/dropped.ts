/** Which of the experts a layer chose are left out, where that is asked for (docs/paging.md). */
import type { ExpertCache } from '../experts/index.ts';

/** Which of a layer's chosen experts are left out, by rank. The first never is: it weighs most. */
export function droppedRanks(
  experts: Pick<ExpertCache, 'pager'>,
  keys: readonly number[],
  weights: ArrayLike<number>,
  dropBelow: number,
): boolean[] {
  const shares = sharesOf(weights);
  return keys.map((key, rank) => rank > 0 && shares[rank]! < dropBelow && !experts.pager.isNamed(key));
}

/** Gate weights as shares of their sum. */
export function sharesOf(weights: ArrayLike<number>): number[] {
  const all = Array.from(weights);
  const sum = all.reduce((total, weight) => total + weight, 0);
  return all.map((weight) => weight / sum);
}
