/**
 * The pairs in the order of their experts, and of themselves where those are equal: those of expert e are
 * sorted[starts[e] … starts[e + 1]).
 */
export function groupByExpertReference(
  ids: readonly number[],
  nExperts: number,
): { starts: number[]; sorted: number[] } {
  const starts = [0];
  const sorted: number[] = [];
  for (let expert = 0; expert < nExperts; expert++) {
    for (const [pair, id] of ids.entries()) if (id === expert) sorted.push(pair);
    starts.push(sorted.length);
  }
  return { starts, sorted };
}
