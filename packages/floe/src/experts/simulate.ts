/** A cache policy over a recorded routing, without a GPU: what would have been there, what would have been moved. */
import { ExpertsError } from '../errors/index.ts';
import type { CachePolicy, PoolSize } from './policy.ts';
import { type LayerCosts, type Schedule, stallMs } from './simulateCost.ts';
import { NOT_ROUTED, type Trace } from './trace.ts';

export interface SimulateOptions {
  /** Of all layers together. */
  readonly nSlots: number;
  /** Tokens from the first that fill the pool and are not counted. Default 0: a cold start. */
  readonly nWarmUpTokens?: number;
  /** Keys that lie in slots when the first token comes, as after a warm start. Default none. */
  readonly resident?: readonly number[];
  /** What to reckon `stallMsPerToken` by. Default nothing. */
  readonly times?: readonly { readonly costs: LayerCosts; readonly schedule: Schedule }[];
}

/** Of the tokens after the warm-up. */
export interface Simulation {
  readonly policy: string;
  readonly nTokens: number;
  /** Routes whose expert was there, and whose was not. */
  readonly nHits: number;
  readonly nMisses: number;
  /** nHits / (nHits + nMisses) */
  readonly hitRate: number;
  /** Brought into slots. */
  readonly bytesPerToken: number;
  /** Layers with at least one miss. */
  readonly faultedLayersPerToken: number;
  readonly nTokensWithoutFault: number;
  /** Beyond the GPU's own time, by `stallMs()`, for each of `times`. */
  readonly stallMsPerToken: readonly number[];
}

/**
 * Runs the policy `make` gives over `trace`, token by token, prompts too. A layer's uses are told to the policy before
 * its absent experts are brought in, and what the layer wants is pinned meanwhile.
 *
 * @throws {ExpertsError} `experts/budget-too-small`: there are not nExpertsUsed + 1 slots.
 */
export function simulate(trace: Trace, make: (size: PoolSize) => CachePolicy, options: SimulateOptions): Simulation {
  const { nLayers, nExperts, nExpertsUsed, nTokens, slotBytes } = trace;
  const { nSlots, nWarmUpTokens = 0, resident = [], times = [] } = options;
  if (nSlots < nExpertsUsed + 1) throw tooFewSlots(nSlots, nExpertsUsed + 1);
  const pool = new Pool(make({ nLayers, nExperts, nExpertsUsed, nSlots }), nSlots, nLayers * nExperts, resident);
  const missesOf = new Uint16Array(nLayers);
  const stalls = times.map(() => 0);
  let [nHits, nMisses, nBytes, nFaults, nWithoutFault] = [0, 0, 0, 0, 0];
  for (let token = 0; token < nTokens; token++) {
    const isCounted = token >= nWarmUpTokens;
    let nFaultsOfToken = 0;
    for (let layer = 0; layer < nLayers; layer++) {
      const wanted = routeOf(trace, token, layer);
      const n = pool.want(wanted, token);
      missesOf[layer] = n;
      if (!isCounted) continue;
      nHits += wanted.length - n;
      nMisses += n;
      nBytes += n * slotBytes[layer]!;
      if (n > 0) nFaultsOfToken++;
    }
    if (!isCounted) continue;
    nFaults += nFaultsOfToken;
    if (nFaultsOfToken === 0) nWithoutFault++;
    for (const [i, { costs, schedule }] of times.entries()) stalls[i]! += stallMs(costs, schedule, missesOf);
  }
  const n = Math.max(0, nTokens - nWarmUpTokens);
  return {
    policy: pool.policy.name,
    nTokens: n,
    nHits,
    nMisses,
    hitRate: nHits / (nHits + nMisses),
    bytesPerToken: nBytes / n,
    faultedLayersPerToken: nFaults / n,
    nTokensWithoutFault: nWithoutFault,
    stallMsPerToken: stalls.map((sum) => sum / n),
  };
}

/** The keys a token uses in a layer. */
function routeOf({ ids, nLayers, nExperts, nExpertsUsed }: Trace, token: number, layer: number): number[] {
  const at = (token * nLayers + layer) * nExpertsUsed;
  if (ids[at] === NOT_ROUTED) return [];
  return Array.from(ids.subarray(at, at + nExpertsUsed), (expert) => layer * nExperts + expert);
}

/** Slots and the keys in them; a key is in at most one. */
class Pool {
  private readonly keyOf: Int32Array;
  /** By key: whether it is in a slot, and whether the layer at hand wants it. */
  private readonly isResident: Uint8Array;
  private readonly isWanted: Uint8Array;
  private readonly slotOf: Int32Array;
  private nFilled = 0;
  private readonly pinned = (key: number): boolean => this.isWanted[key] === 1;

  constructor(
    readonly policy: CachePolicy,
    nSlots: number,
    nKeys: number,
    resident: readonly number[],
  ) {
    this.keyOf = new Int32Array(nSlots);
    this.slotOf = new Int32Array(nKeys);
    this.isResident = new Uint8Array(nKeys);
    this.isWanted = new Uint8Array(nKeys);
    for (const key of new Set(resident)) if (this.nFilled < nSlots) this.put(key, this.nFilled++);
  }

  /** Tells the policy of these uses and brings in what is absent; returns how many were. */
  want(keys: readonly number[], token: number): number {
    let nAbsent = 0;
    for (const key of keys) {
      this.isWanted[key] = 1;
      this.policy.use(key, token);
    }
    for (const key of keys) {
      if (this.isResident[key]) continue;
      nAbsent++;
      this.put(key, this.nFilled < this.keyOf.length ? this.nFilled++ : this.free(token));
    }
    for (const key of keys) this.isWanted[key] = 0;
    return nAbsent;
  }

  private put(key: number, slot: number): void {
    this.keyOf[slot] = key;
    this.slotOf[key] = slot;
    this.isResident[key] = 1;
  }

  private free(token: number): number {
    // More slots than one layer wants: one of them is not pinned.
    const key = this.policy.victim(this.keyOf, this.pinned, token)!;
    this.isResident[key] = 0;
    return this.slotOf[key]!;
  }
}

function tooFewSlots(nSlots: number, nMinimum: number): ExpertsError {
  return new ExpertsError(
    'experts/budget-too-small',
    `${nSlots} slots can't hold the ${nMinimum - 1} experts of a layer and one that comes in; the minimum is ${nMinimum}.`,
    { remedy: 'Raise the GPU budget, or take a smaller quantization.', details: { nSlots, nMinimum } },
  );
}
