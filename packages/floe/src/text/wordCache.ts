/** Words repeat; this many are remembered with their ids before all are forgotten. */
const CACHED_WORDS = 20_000;

/** `tokenize`, which is asked once for a word that comes again soon. */
export function wordCache(tokenize: (word: string) => readonly number[]): (word: string) => readonly number[] {
  const cache = new Map<string, readonly number[]>();
  return (word) => {
    const known = cache.get(word);
    if (known) return known;
    const ids = tokenize(word);
    if (cache.size >= CACHED_WORDS) cache.clear();
    cache.set(word, ids);
    return ids;
  };
}
