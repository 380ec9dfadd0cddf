/** Which of the experts a layer chose are left out, where that is asked for (docs/paging.md). */
import type { Pager } from '../experts/index.ts';
import type { Routed } from './tokenRoutes.ts';

/** By rank. The first never is: it weighs most; nor is one that has come since the layer chose it. */
export function droppedRanks(routed: readonly Routed[], pager: Pager, dropBelow: number): boolean[] {
  return routed.map(({ key, share }, rank) => rank > 0 && share < dropBelow && !pager.isNamed(key));
}
