/** How far a decode step runs ahead, and whether it guesses what later layers will choose. */
import type { ExpertCache } from '../experts/index.ts';
import { type GuessWorth, PROBE_EVERY, PROBE_TOKENS } from './foresight.ts';
import type { AdaptiveSchedule, Schedule } from './schedule.ts';

/** Layers ahead of which a guess is still better than none. */
export const FARTHEST_GUESS = 4;
/** Tokens that a rate of layers with a miss goes by. */
const RATE_TOKENS = 16;

export interface Ahead {
  readonly schedule: Schedule;
  /** How many layers later guesses are for; 0: none are made. */
  readonly guessAhead: number;
}

/**
 * A guess must aim behind what is queued by the time it is read, and far ahead it is worth nothing. So where the way to the
 * host is many layers long, a step either runs as far ahead as hides it and guesses nothing; or it stays near, waits a
 * little in every layer, and misses less. Both are tried now and then; the layers that missed an expert decide, by the
 * closed form of docs/routing.md.
 */
export class Lookahead {
  private readonly faulted = { far: new Rate(), near: new Rate() };

  constructor(
    private readonly experts: Pick<ExpertCache, 'counts' | 'allResident'>,
    private readonly measured: Pick<AdaptiveSchedule, 'choose' | 'stallMs' | 'fixesRunAhead'>,
    private readonly worth: Pick<GuessWorth, 'pays'>,
  ) {}

  /** For the next step. `prefetch`: whether experts may be loaded before they are wanted. */
  choose(prefetch: boolean): Ahead {
    const far = this.measured.choose(this.experts.allResident);
    if (!prefetch || !this.worth.pays) return { schedule: far, guessAhead: 0 };
    if (far.runAhead < FARTHEST_GUESS) return { schedule: far, guessAhead: far.runAhead + 1 };
    const near = { ...far, runAhead: FARTHEST_GUESS - 1 };
    const staysNear = !this.measured.fixesRunAhead && this.nearIsBetter(near, far);
    return staysNear ? { schedule: near, guessAhead: FARTHEST_GUESS } : { schedule: far, guessAhead: 0 };
  }

  /** A step has ended, and so many of its layers missed an expert. */
  ended(isGuessing: boolean, nFaulted: number): void {
    this.faulted[isGuessing ? 'near' : 'far'].note(nFaulted);
  }

  private nearIsBetter(near: Schedule, far: Schedule): boolean {
    // Near first, while guesses are made whatever became of the last; then as long far ahead.
    const turn = this.experts.counts.nTokens % PROBE_EVERY;
    if (turn < 2 * PROBE_TOKENS) return turn < PROBE_TOKENS;
    const { faulted, measured } = this;
    if (faulted.near.value === null || faulted.far.value === null) return false;
    return measured.stallMs(near.runAhead, faulted.near.value) < measured.stallMs(far.runAhead, faulted.far.value);
  }
}

/** A mean that forgets. */
class Rate {
  /** Null before the first. */
  value: number | null = null;

  note(sample: number): void {
    this.value = this.value === null ? sample : this.value + (sample - this.value) / RATE_TOKENS;
  }
}
