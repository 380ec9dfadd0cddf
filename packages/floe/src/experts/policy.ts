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
  /** The counts as of `token`, a few numbers for each key: small enough to store at each visit. */
  snapshot(token: number): Float32Array<ArrayBuffer>;
  /**
   * Goes on from `state` as if its last token had been `token` (default 0), and forgets what it counted itself.
   *
   * @throws {RequestError} `request/invalid`: the state is of another model, or damaged.
   */
  restore(state: Float32Array, token?: number): void;
}

/**
 * Tokens after which a use counts 1/e, for each of the counts. Together they fall about as 1 / age, so that no one
 * length of memory must be right: a phrase's, a paragraph's and a topic's.
 */
const MEMORIES = [2, 16, 64] as const;
const N_COUNTS = MEMORIES.length;
/** How many ages have their decay in a table; older uses are few. */
const N_TABLE = 4096;

/**
 * Decayed counts: score = sum of f(tau) / tau over tau = 2, 16, 64 tokens, where f(tau) grows by one with a use and falls
 * by exp(-1 / tau) with a token. A layer that the token has not reached yet is scored as of the token before: else its
 * experts would seem a token older than those of layers that had their chance. One pool for all layers, without quotas;
 * but where there are slots for it, a layer keeps as many as one of its tokens uses, unless every other slot is pinned.
 */
export function decayedCounts(size: PoolSize): DecayedCounts {
  const { nLayers, nExperts, nExpertsUsed, nSlots } = size;
  const nKeys = nLayers * nExperts;
  // [nKeys, N_COUNTS]: f(tau) / tau as of the key's last use; what passed since is applied when it is asked for.
  const counts = new Float64Array(nKeys * N_COUNTS);
  const usedAt = new Float64Array(nKeys);
  /** The last token a layer was used by. */
  const reachedBy = new Float64Array(nLayers);
  const floor = nSlots >= nLayers * nExpertsUsed ? nExpertsUsed : 0;
  const scan = lowestByLayer(size);

  const left = decayTable();
  const decayed = (key: number, token: number, i: number): number => {
    const age = token - usedAt[key]!;
    return counts[key * N_COUNTS + i]! * (left[age * N_COUNTS + i] ?? Math.exp(-age / MEMORIES[i]!));
  };
  const score = (key: number, token: number): number => {
    const asOf = reachedBy[(key / nExperts) | 0]! < token ? token - 1 : token;
    return decayed(key, asOf, 0) + decayed(key, asOf, 1) + decayed(key, asOf, 2);
  };
  return {
    name: 'decayed',
    score,
    use(key, token, weight = 1) {
      for (let i = 0; i < N_COUNTS; i++) counts[key * N_COUNTS + i] = decayed(key, token, i) + weight / MEMORIES[i]!;
      usedAt[key] = token;
      reachedBy[Math.floor(key / nExperts)] = token;
    },
    victim(resident, pinned, token) {
      const layers = scan(resident, pinned, (key) => score(key, token));
      return layers.lowestOf((layer) => layers.nResident[layer]! > floor) ?? layers.lowestOf(() => true);
    },
    snapshot: (token) => Float32Array.from(counts, (_, i) => decayed(Math.floor(i / N_COUNTS), token, i % N_COUNTS)),
    restore(state, token = 0) {
      if (state.length !== counts.length || !state.every((count) => count >= 0 && count < Infinity)) {
        throw unfit(state.length, counts.length);
      }
      counts.set(state);
      usedAt.fill(token);
      reachedBy.fill(token);
    },
  };
}

/** exp(-age / tau), [N_TABLE, N_COUNTS]: a scan asks for thousands. */
function decayTable(): Float64Array {
  return Float64Array.from({ length: N_TABLE * N_COUNTS }, (_, i) =>
    Math.exp(-Math.floor(i / N_COUNTS) / MEMORIES[i % N_COUNTS]!),
  );
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
  const scan = lowestByLayer(size);
  // What does not divide evenly goes to the first layers.
  const quota = (layer: number) => Math.floor(nSlots / nLayers) + (layer < nSlots % nLayers ? 1 : 0);
  let wanted = 0;
  return {
    name: 'lru-per-layer',
    score,
    use(key, token, weight) {
      wanted = Math.floor(key / nExperts);
      use(key, token, weight);
    },
    victim(resident, pinned) {
      const layers = scan(resident, pinned, score);
      const isFull = layers.nResident[wanted]! >= quota(wanted);
      const gives = (layer: number) => (isFull ? layer === wanted : layers.nResident[layer]! > quota(layer));
      return layers.lowestOf(gives) ?? layers.lowestOf(() => true);
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
 * The same, layer by layer, in one pass: how many a layer holds, which a policy may go by, is known only at the end.
 * Each scan overwrites what the last one found.
 */
function lowestByLayer({ nLayers, nExperts }: PoolSize) {
  const nResident = new Int32Array(nLayers);
  const leasts = new Float64Array(nLayers);
  const victims = new Int32Array(nLayers);
  /** The lowest key of the layers that give, or null. */
  const lowestOf = (gives: (layer: number) => boolean): number | null => {
    let best = -1;
    for (let layer = 0; layer < nLayers; layer++) {
      if (victims[layer]! >= 0 && gives(layer) && (best < 0 || leasts[layer]! < leasts[best]!)) best = layer;
    }
    return best < 0 ? null : victims[best]!;
  };
  return (resident: Iterable<number>, pinned: (key: number) => boolean, score: Score) => {
    nResident.fill(0);
    leasts.fill(Infinity);
    victims.fill(-1);
    for (const key of resident) {
      const layer = (key / nExperts) | 0;
      nResident[layer]!++;
      const value = score(key);
      const least = leasts[layer]!;
      // Pinned is asked last: few keys are a layer's lowest so far.
      if (value > least || (value === least && key > victims[layer]!) || pinned(key)) continue;
      leasts[layer] = value;
      victims[layer] = key;
    }
    return { nResident, lowestOf };
  };
}

function unfit(length: number, expected: number): RequestError {
  return new RequestError(
    'request/invalid',
    `The counts of an earlier visit are ${length} numbers, not ${expected} that are finite and not below zero.`,
    { remedy: 'Start without them: they only make the first tokens faster.', details: { length, expected } },
  );
}
