/** Whether a step stays near and guesses, or runs far ahead, follows from what either missed. */
import { describe, expect, it } from 'vitest';
import { Lookahead } from './lookahead.ts';
import { AdaptiveSchedule } from './schedule.ts';

const N_LAYERS = 32;

/** Tokens of a machine whose steps miss `faulted` layers, far ahead or near; what each of the last 56 looked ahead. */
function decode(
  layersLong: number,
  faulted: { far: number; near: number },
  { fixed = {}, prefetch = true, pays = true } = {},
) {
  const measured = new AdaptiveSchedule(N_LAYERS, 0.4, fixed);
  measured.latency(layersLong);
  const counts = { nTokens: 0 };
  const lookahead = new Lookahead({ counts, allResident: false } as never, measured, { pays });
  const chosen = [];
  for (; counts.nTokens < 64; counts.nTokens++) {
    const { schedule, guessAhead } = lookahead.choose(prefetch);
    lookahead.ended(guessAhead > 0, guessAhead > 0 ? faulted.near : faulted.far);
    chosen.push(`${schedule.runAhead}, guess ${guessAhead}`);
  }
  return { probes: new Set(chosen.slice(0, 8)), rest: [...new Set(chosen.slice(8))] };
}

describe('a step', () => {
  it('guesses behind what is queued where the way to the host is short', () => {
    expect(decode(0.2, { far: 12, near: 6 }).rest).toEqual(['0, guess 1']);
    expect(decode(2, { far: 12, near: 6 }).rest).toEqual(['2, guess 3']);
  });

  it('stays near and guesses where the way is long and that spares it enough misses', () => {
    const { probes, rest } = decode(6, { far: 12, near: 6 });
    expect(rest).toEqual(['3, guess 4']);
    expect(probes).toEqual(new Set(['3, guess 4', '6, guess 0']));
  });

  it('runs far ahead where guesses spare it little', () => {
    expect(decode(6, { far: 12, near: 11 }).rest).toEqual(['6, guess 0']);
  });

  it('runs far ahead where waiting in every layer would cost more', () => {
    expect(decode(30, { far: 4, near: 1 }).rest).toEqual(['32, guess 0']);
  });

  it('runs as far ahead as it is told', () => {
    expect(decode(6, { far: 12, near: 1 }, { fixed: { runAhead: 9 } }).rest).toEqual(['9, guess 0']);
    expect(decode(6, { far: 12, near: 1 }, { fixed: { runAhead: 1 } }).rest).toEqual(['1, guess 2']);
  });

  it('guesses nothing where it may not, or where guesses do not pay', () => {
    expect(decode(0.2, { far: 12, near: 6 }, { prefetch: false }).rest).toEqual(['0, guess 0']);
    expect(decode(6, { far: 12, near: 6 }, { pays: false }).rest).toEqual(['6, guess 0']);
  });
});
