import { describe, expect, it } from 'vitest';
import type { RopeTable } from './architecture.ts';
import { ropeAngles, ropeFrequencies } from './rope.ts';

const none = { always: null, short: null, long: null };
const table: RopeTable = { base: 10_000, scaling: { kind: 'linear', factor: 1, magnitude: 1 } };
const frequencies = ropeFrequencies(table, 8, none, 512);

/** The pair (cos, sin) of dimension pair `pair` at the n-th position asked for. */
const at = (angles: Float32Array, n: number, pair: number, nPairs = 4) => [
  ...angles.subarray((n * nPairs + pair) * 2, (n * nPairs + pair) * 2 + 2),
];

describe('ropeAngles and their frequencies', () => {
  it('turns pair i by pos · base^(-2i / ropeDim)', () => {
    const angles = ropeAngles(frequencies, [5, 6]);
    for (const [n, pos] of [5, 6].entries()) {
      for (let pair = 0; pair < 4; pair++) {
        const angle = pos * 10_000 ** (-pair / 4);
        expect(at(angles, n, pair)).toEqual([Math.fround(Math.cos(angle)), Math.fround(Math.sin(angle))]);
      }
    }
  });

  it('is as exact at position 5,000,000 as at 5: the angle is reduced in double precision', () => {
    const [cos] = at(ropeAngles(frequencies, [5_000_000]), 0, 1);
    expect(cos).toBe(Math.fround(Math.cos(500_000)));
    // Control: what an angle in f32 would give. 4,999,999 · 0.1 is no f32.
    const inF32 = Math.cos(Math.fround(Math.fround(4_999_999) * Math.fround(0.1)));
    expect(Math.abs(at(ropeAngles(frequencies, [4_999_999]), 0, 1)[0]! - inF32)).toBeGreaterThan(1e-4);
  });

  it('of LongRoPE takes the divisors of the file, others for contexts beyond the original, and its magnitude', () => {
    const [short, long] = [Float32Array.of(1, 1, 2, 2), Float32Array.of(1, 2, 4, 8)];
    const scaling = { kind: 'longrope', factor: 1, nCtxOriginal: 64, magnitude: 1.5 } as const;
    const of = (nCtx: number) => ropeFrequencies({ base: 10_000, scaling }, 8, { always: null, short, long }, nCtx);
    expect(of(64).turns).toEqual(frequencies.turns.map((turn, i) => turn / short[i]!));
    expect(of(65).turns).toEqual(frequencies.turns.map((turn, i) => turn / long[i]!));
    expect(at(ropeAngles(of(64), [0]), 0, 0)).toEqual([1.5, 0]);
  });

  it('of YaRN keeps what turns often in the original context, slows what turns less than once, and mends between', () => {
    const scaling = { kind: 'yarn', factor: 4, nCtxOriginal: 4096, betaFast: 32, betaSlow: 1, magnitude: 1 } as const;
    const { turns } = ropeFrequencies({ base: 10_000, scaling }, 128, none, 16_384);
    const plain = ropeFrequencies(table, 128, none, 16_384).turns;
    const kept = Array.from(turns, (turn, pair) => turn / plain[pair]!);
    for (const [pair, share] of kept.entries()) {
      const times = (4096 * plain[pair]!) / (2 * Math.PI);
      if (times > 40) expect(share, `pair ${pair}`).toBe(1);
      if (times < 0.8) expect(share, `pair ${pair}`).toBe(0.25);
      if (pair > 0) expect(share, `pair ${pair}`).toBeLessThanOrEqual(kept[pair - 1]!);
    }
    expect(kept.some((share) => share > 0.3 && share < 0.95)).toBe(true);
  });

  it('divides frequencies by the divisors of the file, and positions by the scale', () => {
    const freqs = Float32Array.of(1, 2, 4, 8);
    const divided = ropeFrequencies(table, 8, { ...none, always: freqs }, 512);
    expect(at(ropeAngles(divided, [8]), 0, 3)).toEqual(at(ropeAngles(frequencies, [1]), 0, 3));
    const stretched = ropeFrequencies({ ...table, scaling: { kind: 'linear', factor: 4, magnitude: 1 } }, 8, none, 512);
    expect(ropeAngles(stretched, [12])).toEqual(ropeAngles(frequencies, [3]));
  });
});
