/** Loads experts that a later layer may want, before it says so: what its router makes of the residual stream as it is. */
import type { ExpertCache } from '../experts/index.ts';
import type { Clock } from '../host/index.ts';
import type { AdaptiveSchedule } from './schedule.ts';

/** Guesses that must have been used or evicted before they are judged, and of how many the last are. */
const LEAST_ENDED = 32;
const MOST_JUDGED = 512;
/** Tokens in which guesses are made whatever became of the last, and how often. */
export const PROBE_TOKENS = 4;
export const PROBE_EVERY = 64;

export class Foresight {
  /** Keys guessed for each layer of this token. */
  private readonly guesses = new Map<number, readonly number[]>();
  private waiting: number[] = [];

  constructor(
    private readonly experts: ExpertCache,
    private readonly measured: AdaptiveSchedule,
    private readonly worth: GuessWorth,
    private readonly clock: Clock,
    /** Layers from where a guess is made to the one it is for; 0: none are made. */
    private readonly ahead: number,
  ) {}

  /** A layer's guess at the experts of the layer `ahead` later. */
  note(layer: number, ids: Uint32Array): void {
    const later = layer + this.ahead;
    if (this.ahead === 0 || later >= this.experts.size.nLayers) return;
    const keys = Array.from(ids, (expert) => this.experts.keyOf(later, expert));
    this.guesses.set(later, keys);
    this.waiting.push(...keys);
    // Here or to come: until that layer has chosen, it is not who goes.
    for (const key of keys) this.experts.pager.expect(key, this.experts.token);
  }

  /** Counts how much of a layer's choice was foreseen, of all and of what was not there anyway. */
  check(layer: number, routed: readonly { readonly key: number; readonly wasAbsent: boolean }[]): void {
    const guess = this.guesses.get(layer);
    if (!guess) return;
    for (const key of guess) this.experts.pager.passed(key);
    const { counts } = this.experts;
    for (const { key, wasAbsent } of routed) {
      const seen = guess.includes(key) ? 1 : 0;
      counts.foreseeable++;
      counts.foreseen += seen;
      if (!wasAbsent) continue;
      counts.foreseeableMisses++;
      counts.foreseenMisses += seen;
    }
  }

  /** Loads what was guessed and is not there. */
  act(): void {
    const { waiting } = this;
    this.waiting = [];
    if (!this.worth.pays) return;
    for (const key of waiting) {
      const startMs = this.clock.now();
      if (this.experts.guess(key)) this.measured.upload(this.clock.now() - startMs);
    }
  }
}

/**
 * Whether guesses are worth making. Each costs a copy; one that is used saves a copy and a wait for the routes. They pay
 * while what the useful ones save is more than what all of them cost; and they are tried again now and then where not, for
 * what is talked of changes.
 */
export class GuessWorth {
  /** Counts up to here are forgotten: the last few hundred guesses speak. */
  private from = { useful: 0, useless: 0 };

  constructor(
    private readonly experts: ExpertCache,
    private readonly measured: Pick<AdaptiveSchedule, 'uploadMs' | 'latencyMs'>,
  ) {}

  /** Whether a guess can do anything, and is worth what it takes. */
  get pays(): boolean {
    const { memory, counts, recordBytes } = this.experts;
    // Guesses are copied from memory; without one nothing is.
    if (memory.budgetBytes < recordBytes) return false;
    if (counts.nTokens % PROBE_EVERY < PROBE_TOKENS) return true;
    const { useful, useless } = this.judged;
    if (useful + useless < LEAST_ENDED) return true;
    const { uploadMs, latencyMs } = this.measured;
    return (useful / (useful + useless)) * (latencyMs + uploadMs) > uploadMs;
  }

  /** A token has ended: what is long ago counts half. */
  ended(): void {
    const { useful, useless } = this.judged;
    if (useful + useless <= MOST_JUDGED) return;
    const { usefulGuesses, uselessGuesses } = this.experts.counts;
    this.from = { useful: usefulGuesses - useful / 2, useless: uselessGuesses - useless / 2 };
  }

  private get judged(): { useful: number; useless: number } {
    const { usefulGuesses, uselessGuesses } = this.experts.counts;
    return { useful: usefulGuesses - this.from.useful, useless: uselessGuesses - this.from.useless };
  }
}
