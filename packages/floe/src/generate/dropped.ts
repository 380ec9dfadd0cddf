/** Which of the experts a layer chose are left out, where that is asked for (docs/paging.md). */
import type { ExpertCache } from '../experts/index.ts';
import type { Routed } from './stepRoutes.ts';

/**
 * By row and rank [R, k]. A row's first never is: it weighs most; nor is one that has come since the layer chose it, or that
 * another row waits for.
 */
export function leftOut(routed: readonly Routed[], { pager, size }: ExpertCache, dropBelow: number): boolean[] {
  const isSmall = routed.map(
    ({ key, share }, i) => i % size.nExpertsUsed > 0 && share < dropBelow && !pager.isNamed(key),
  );
  const wanted = new Set(routed.filter((_, i) => !isSmall[i]).map(({ key }) => key));
  return routed.map(({ key }, i) => isSmall[i]! && !wanted.has(key));
}
