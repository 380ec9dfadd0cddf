import { describe, expect, it } from 'vitest';
import { mergePairs } from './mergePairs.ts';

type Rank = (left: string, right: string) => number | undefined;

/** What mergePairs claims, in the plainest way: look at all pairs, merge the first of the lowest rank, begin again. */
function reference(symbols: readonly string[], rank: Rank): string[] {
  const list = [...symbols];
  for (;;) {
    let best = -1;
    let lowest = Number.POSITIVE_INFINITY;
    for (let i = 1; i < list.length; i++) {
      const r = rank(list[i - 1]!, list[i]!) ?? Number.POSITIVE_INFINITY;
      if (r < lowest) [best, lowest] = [i, r];
    }
    if (best < 0) return list;
    list.splice(best - 1, 2, list[best - 1]! + list[best]!);
  }
}

describe('mergePairs', () => {
  it('merges as the plain loop does: 500 texts of three letters, ranks with many ties', () => {
    let state = 1;
    const next = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    for (let round = 0; round < 500; round++) {
      const ranks = new Map<string, number | undefined>();
      const rank: Rank = (left, right) => {
        const merged = left + right;
        if (merged.length > 5) return undefined;
        // By what it becomes, as in SentencePiece; a third of all never merge.
        if (!ranks.has(merged)) ranks.set(merged, next(3) === 0 ? undefined : next(4));
        return ranks.get(merged);
      };
      const symbols = Array.from({ length: next(20) }, () => 'abc'[next(3)]!);
      const expected = reference(symbols, rank);
      expect(mergePairs([...symbols], rank), `round ${round}: ${symbols.join('')}`).toEqual(expected);
    }
  });

  it('takes the leftmost of equals', () => {
    expect(mergePairs(['a', 'a', 'a'], (left, right) => (left + right === 'aa' ? 0 : undefined))).toEqual(['aa', 'a']);
  });

  it('gives nothing for nothing', () => {
    expect(mergePairs([], () => 0)).toEqual([]);
  });
});
