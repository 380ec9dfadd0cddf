/**
 * The merging that SentencePiece and byte-level BPE share: while any two neighbours may merge, the pair of the lowest
 * rank does, the leftmost of equals. `rank` gives undefined for two that never merge. O(n log n).
 */
export function mergePairs(symbols: string[], rank: (left: string, right: string) => number | undefined): string[] {
  const n = symbols.length;
  // A list linked both ways over the symbols; one that was merged into its left neighbour is empty.
  const next = Int32Array.from({ length: n }, (_, i) => (i + 1 < n ? i + 1 : -1));
  const prev = Int32Array.from({ length: n }, (_, i) => i - 1);
  const heap = new PairHeap();
  const offer = (left: number, right: number) => {
    if (left < 0 || right < 0) return;
    const [a, b] = [symbols[left]!, symbols[right]!];
    const r = rank(a, b);
    if (r !== undefined) heap.push({ rank: r, left, right, length: a.length + b.length });
  };
  for (let i = 1; i < n; i++) offer(i - 1, i);

  for (let pair = heap.pop(); pair; pair = heap.pop()) {
    const { left, right, length } = pair;
    const [a, b] = [symbols[left]!, symbols[right]!];
    // An entry is stale once either side was merged since: a side is then empty or longer.
    if (a === '' || b === '' || a.length + b.length !== length) continue;
    symbols[left] = a + b;
    symbols[right] = '';
    const after = next[right]!;
    next[left] = after;
    if (after >= 0) prev[after] = left;
    offer(prev[left]!, left);
    offer(left, after);
  }
  return symbols.filter((symbol) => symbol !== '');
}

interface Pair {
  readonly rank: number;
  readonly left: number;
  readonly right: number;
  /** Of both sides together when they were offered. */
  readonly length: number;
}

/** A binary heap, the lowest rank on top, the leftmost of equals. */
class PairHeap {
  readonly #pairs: Pair[] = [];

  push(pair: Pair): void {
    const pairs = this.#pairs;
    let at = pairs.length;
    pairs.push(pair);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(pair, pairs[parent]!)) break;
      pairs[at] = pairs[parent]!;
      at = parent;
    }
    pairs[at] = pair;
  }

  pop(): Pair | undefined {
    const pairs = this.#pairs;
    const top = pairs[0];
    const last = pairs.pop();
    if (last === undefined || pairs.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= pairs.length) break;
      if (child + 1 < pairs.length && before(pairs[child + 1]!, pairs[child]!)) child++;
      if (!before(pairs[child]!, last)) break;
      pairs[at] = pairs[child]!;
      at = child;
    }
    pairs[at] = last;
    return top;
  }
}

const before = (a: Pair, b: Pair) => a.rank < b.rank || (a.rank === b.rank && a.left < b.left);
