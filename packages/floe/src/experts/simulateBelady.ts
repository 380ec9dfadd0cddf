import type { CachePolicy, PoolSize } from './policy.ts';
import { NOT_ROUTED, type Trace } from './trace.ts';

/**
 * The bound for every policy: what is wanted last leaves first (Belady 1966), one pool. It knows `trace` and must be
 * told of all its uses, in order; no real policy can be it.
 */
export function belady(trace: Trace): (size: PoolSize) => CachePolicy {
  return () => {
    const { starts, times } = usesByKey(trace);
    const next = starts.slice(0, -1);
    /** When a key is wanted next: token · nLayers + layer. */
    const nextAt = (key: number): number => (next[key]! < starts[key + 1]! ? times[next[key]!]! : Infinity);
    return {
      name: 'belady',
      use(key) {
        next[key]!++;
      },
      score: (key) => -nextAt(key),
      victim(resident, pinned) {
        let victim: number | null = null;
        let last = -1;
        for (const key of resident) {
          const at = nextAt(key);
          if (at < last || (at === last && key > victim!) || pinned(key)) continue;
          victim = key;
          last = at;
        }
        return victim;
      },
    };
  };
}

/** The times of each key's uses, ascending, one key after another; those of a key begin at `starts[key]`. */
function usesByKey({ ids, nLayers, nExperts, nExpertsUsed }: Trace): { starts: Int32Array; times: Int32Array } {
  const starts = new Int32Array(nLayers * nExperts + 1);
  const keyAt = (i: number): number => (Math.floor(i / nExpertsUsed) % nLayers) * nExperts + ids[i]!;
  for (let i = 0; i < ids.length; i++) if (ids[i] !== NOT_ROUTED) starts[keyAt(i) + 1]!++;
  for (let key = 0; key < nLayers * nExperts; key++) starts[key + 1]! += starts[key]!;
  const times = new Int32Array(starts.at(-1)!);
  const filled = starts.slice();
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] !== NOT_ROUTED) times[filled[keyAt(i)]!++] = Math.floor(i / nExpertsUsed);
  }
  return { starts, times };
}
