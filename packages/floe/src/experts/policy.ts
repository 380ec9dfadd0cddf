/**
 * Which expert leaves a full pool: the default policy and the plain ones it is measured against. A policy is a function
 * of the uses it was told of; it reads no clock and knows no GPU. docs/routing.md shows what each is worth.
 */
import { RequestError } from '../errors/index.ts';

/** What decides which expert leaves a full pool. A key is layer · nExperts + expert. */
export interface CachePolicy {
  readonly name: string;
  /** A routed use of `key` at token `token` (counted from 0, never falling); `weight` 1 in decode, less in a prompt's span. */
  use(key: number, token: number, weight?: number): void;
  /** The key among `resident` that goes first and is not `pinned`; null where all are pinned. Deterministic: ties go to the lowest key. */
  victim(resident: Iterable<number>, pinned: (key: number) => boolean, token: number): number | null;
  /** How much worth keeping, for warm starts and for ordering loads and downloads; higher stays longer. */
  score(key: number, token: number): number;
}

/** What a policy is made for: the model's experts and the slots they share. */
export interface PoolSize {
  readonly nLayers: number;
  readonly nExperts: number;
  /** Experts one token uses in one layer. */
  readonly nExpertsUsed: number;
  /** Slots of all layers together. */
  readonly nSlots: number;
}

/** The default policy: decayed counts of uses, of all experts, resident or not. */
export interface DecayedCounts extends CachePolicy {
  /** The counts as of `token`, [nLayers · nExperts, 2]: with the short memory, with the long one. Small enough to store at each visit. */
  snapshot(token: number): Float32Array<ArrayBuffer>;
  /**
   * Goes on from `state` as if its last token had been `token` (default 0), and forgets what it counted itself.
   *
   * @throws {RequestError} `request/invalid`: the state is of another model, or damaged.
   */
  restore(state: Float32Array, token?: number): void;
}

/** Tokens after which a use counts 1/e. The short memory follows a phrase, the long one a topic. */
const SHORT_TOKENS = 8;
const LONG_TOKENS = 128;

/**
 * Decayed counts: score = short / 8 + long / 128, where each count grows by one with a use and falls by exp(-1 / tau)
 * with a token, tau 8 and 128. One pool for all layers, without quotas; but where there are slots for it, a layer keeps
 * as many as one of its tokens uses, unless every other slot is pinned.
 */
export function decayedCounts(size: PoolSize): DecayedCounts {
  const { nLayers, nExperts, nExpertsUsed, nSlots } = size;
  const nKeys = nLayers * nExperts;
  // As of the token of the key's last use; what passed since is applied when it is asked for.
  const short = new Float64Array(nKeys);
  const long = new Float64Array(nKeys);
  const usedAt = new Float64Array(nKeys);
  const shortLeft = decay(SHORT_TOKENS);
  const longLeft = decay(LONG_TOKENS);
  const victimOf = lowestWithFloor(size, nSlots >= nLayers * nExpertsUsed ? nExpertsUsed : 0);

  const score = (key: number, token: number): number => {
    const nTokens = token - usedAt[key]!;
    return (short[key]! * shortLeft(nTokens)) / SHORT_TOKENS + (long[key]! * longLeft(nTokens)) / LONG_TOKENS;
  };
  return {
    name: 'decayed',
    use(key, token, weight = 1) {
      const nTokens = token - usedAt[key]!;
      short[key] = short[key]! * shortLeft(nTokens) + weight;
      long[key] = long[key]! * longLeft(nTokens) + weight;
      usedAt[key] = token;
    },
    victim: (resident, pinned, token) => victimOf(resident, pinned, (key) => score(key, token)),
    score,
    snapshot(token) {
      const state = new Float32Array(2 * nKeys);
      for (let key = 0; key < nKeys; key++) {
        state[2 * key] = short[key]! * shortLeft(token - usedAt[key]!);
        state[2 * key + 1] = long[key]! * longLeft(token - usedAt[key]!);
      }
      return state;
    },
    restore(state, token = 0) {
      if (state.length !== 2 * nKeys || !state.every((count) => count >= 0 && count < Infinity)) {
        throw unfit(state.length, 2 * nKeys);
      }
      for (let key = 0; key < nKeys; key++) {
        short[key] = state[2 * key]!;
        long[key] = state[2 * key + 1]!;
      }
      usedAt.fill(token);
    },
  };
}

/** Least recently used, one pool. Below one token's slots it hits nothing: what is needed soonest is always the oldest. */
export function lruGlobal(size: PoolSize): CachePolicy {
  const { use, score } = recency(size);
  return { name: 'lru-global', use, score, victim: (resident, pinned) => lowest(resident, pinned, score) };
}

/**
 * Least recently used among a layer's own slots, an equal part of the pool for each layer. The layer is that of the last
 * use it was told of; slots that other layers do not fill yet may be borrowed, and are given back first.
 */
export function lruPerLayer(size: PoolSize): CachePolicy {
  const { nLayers, nExperts, nSlots } = size;
  const { use, score } = recency(size);
  const counts = new Int32Array(nLayers);
  // What does not divide evenly goes to the first layers.
  const quota = (layer: number) => Math.floor(nSlots / nLayers) + (layer < nSlots % nLayers ? 1 : 0);
  let wantedLayer = 0;
  return {
    name: 'lru-per-layer',
    score,
    use(key, token, weight) {
      wantedLayer = Math.floor(key / nExperts);
      use(key, token, weight);
    },
    victim(resident, pinned) {
      const keys = [...resident];
      counts.fill(0);
      for (const key of keys) counts[Math.floor(key / nExperts)]!++;
      const isFull = counts[wantedLayer]! >= quota(wantedLayer);
      const gives = (key: number): boolean => {
        const layer = Math.floor(key / nExperts);
        return isFull ? layer === wantedLayer : counts[layer]! > quota(layer);
      };
      return lowest(keys, (key) => pinned(key) || !gives(key), score) ?? lowest(keys, pinned, score);
    },
  };
}

/** Least often used since the beginning, one pool; of equals the least recently used. What was popular once stays. */
export function lfu({ nLayers, nExperts }: PoolSize): CachePolicy {
  const counts = new Float64Array(nLayers * nExperts);
  const usedAt = new Float64Array(nLayers * nExperts);
  // A token's number, made smaller than the least weight in use, only breaks ties.
  const score = (key: number): number => counts[key]! + usedAt[key]! * 2 ** -32;
  return {
    name: 'lfu',
    score,
    use(key, token, weight = 1) {
      counts[key]! += weight;
      usedAt[key] = token;
    },
    victim: (resident, pinned) => lowest(resident, pinned, score),
  };
}

/** The order of uses: a later one, of the same token too, scores higher. */
function recency({ nLayers, nExperts }: PoolSize): { use: CachePolicy['use']; score: Score } {
  const usedAt = new Float64Array(nLayers * nExperts);
  let nUses = 0;
  return {
    use(key) {
      usedAt[key] = ++nUses;
    },
    score: (key) => usedAt[key]!,
  };
}

type Score = (key: number) => number;

/** The key of the lowest score that is not pinned. */
function lowest(resident: Iterable<number>, pinned: (key: number) => boolean, score: Score) {
  let victim: number | null = null;
  let least = Infinity;
  for (const key of resident) {
    const value = score(key);
    if (value > least || (value === least && key > victim!) || pinned(key)) continue;
    victim = key;
    least = value;
  }
  return victim;
}

/**
 * The same, but from layers that hold more than `floor` experts as long as one of these has a key to give. One pass:
 * a layer's count is known only at the end, so each layer's lowest is kept.
 */
function lowestWithFloor({ nLayers, nExperts }: PoolSize, floor: number) {
  const counts = new Int32Array(nLayers);
  const leasts = new Float64Array(nLayers);
  const victims = new Int32Array(nLayers);
  return (resident: Iterable<number>, pinned: (key: number) => boolean, score: Score): number | null => {
    counts.fill(0);
    leasts.fill(Infinity);
    victims.fill(-1);
    for (const key of resident) {
      const layer = (key / nExperts) | 0;
      counts[layer]!++;
      const value = score(key);
      const least = leasts[layer]!;
      // Pinned is asked last: few keys are a layer's lowest so far.
      if (value > least || (value === least && key > victims[layer]!) || pinned(key)) continue;
      leasts[layer] = value;
      victims[layer] = key;
    }
    const ofLayers = (gives: (layer: number) => boolean): number | null => {
      let best = -1;
      for (let layer = 0; layer < nLayers; layer++) {
        if (victims[layer]! >= 0 && gives(layer) && (best < 0 || leasts[layer]! < leasts[best]!)) best = layer;
      }
      return best < 0 ? null : victims[best]!;
    };
    return ofLayers((layer) => counts[layer]! > floor) ?? ofLayers(() => true);
  };
}

/** exp(-n / tau), from a table where n is a small whole number: a scan asks for thousands. */
function decay(tau: number): (nTokens: number) => number {
  const table = Float64Array.from({ length: 8 * tau }, (_, n) => Math.exp(-n / tau));
  return (nTokens) => (nTokens < table.length ? (table[nTokens] ?? 1) : Math.exp(-nTokens / tau));
}

function unfit(length: number, expected: number): RequestError {
  return new RequestError(
    'request/invalid',
    `The counts of an earlier visit are ${length} numbers, not ${expected} that are finite and not below zero.`,
    { remedy: 'Start without them: they only make the first tokens faster.', details: { length, expected } },
  );
}
