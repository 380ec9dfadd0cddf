/** What is loaded for a layer four ahead is still there when that layer comes. */
import { expect, it } from 'vitest';
import { generateTrace, TRACE_RECIPES } from './generateTrace.ts';
import { Pager } from './pager.ts';
import { decayedCounts } from './policy.ts';

const AHEAD = 4;
const N_TOKENS = 120;
const size = { nLayers: 12, nExperts: 64, nExpertsUsed: 2 };
/** A quarter of all experts. */
const nSlots = (size.nLayers * size.nExperts) / 4;
const trace = generateTrace({ ...TRACE_RECIPES['arctic-mid'], ...size, slotBytes: 1 }, { nTokens: N_TOKENS, seed: 5 });

/** Decodes the trace with guesses that are right but for each fourth; how many were loaded, and were gone when their layer chose. */
function decode(pager: Pager): { loaded: number; lost: number } {
  const count = { loaded: 0, lost: 0 };
  const guesses = new Map<number, number[]>();
  for (let token = 0; token < N_TOKENS; token++) {
    for (let layer = 0; layer < size.nLayers; layer++) {
      for (const key of guesses.get(layer) ?? []) if (!pager.isNamed(key)) count.lost++;
      for (const key of guessedOf(token, layer)) pager.passed(key);
      for (const key of routedOf(token, layer)) {
        pager.used(key, token);
        pager.pin(key);
        if (!pager.isNamed(key)) pager.arrived(pager.claim(key, token)!);
      }
      for (const key of routedOf(token, layer)) pager.unpin(key);
      guesses.set(layer + AHEAD, layer + AHEAD < size.nLayers ? load(pager, token, layer + AHEAD) : []);
      count.loaded += guesses.get(layer + AHEAD)!.length;
    }
  }
  return count;
}

/** Of what is guessed, that which was not there and came. */
function load(pager: Pager, token: number, layer: number): number[] {
  const keys = guessedOf(token, layer);
  for (const key of keys) pager.expect(key, token);
  const loaded = [];
  for (const key of keys) {
    const claim = pager.isNamed(key) ? null : pager.claimAhead(key, token);
    if (!claim) continue;
    pager.arrived(claim);
    loaded.push(key);
  }
  return loaded;
}

const routedOf = (token: number, layer: number): number[] => {
  const first = (token * size.nLayers + layer) * size.nExpertsUsed;
  return Array.from(trace.ids.subarray(first, first + size.nExpertsUsed), (expert) => layer * size.nExperts + expert);
};

/** Each fourth is the expert beside it. */
const guessedOf = (token: number, layer: number): number[] =>
  routedOf(token, layer).map((key, rank) => ((token + layer + rank) % 4 === 0 ? key ^ 1 : key));

const makePager = (Made: typeof Pager) =>
  new Made(
    size,
    [{ layers: Array.from({ length: size.nLayers }, (_, l) => l), nSlots }],
    decayedCounts({ ...size, nSlots }),
  );

it('of experts loaded four layers ahead not one in a hundred is gone when its layer comes', () => {
  const { loaded, lost } = decode(makePager(Pager));
  expect(loaded).toBeGreaterThan(300);
  expect(lost).toBeLessThan(loaded / 100);
});

it('control: without it being expected, many are', () => {
  class ExpectsNothing extends Pager {
    override expect(): void {}
  }
  const { loaded, lost } = decode(makePager(ExpectsNothing));
  expect(lost).toBeGreaterThan(loaded / 4);
});
