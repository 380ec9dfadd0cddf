import { describe, expect, it } from 'vitest';
import { ropeAngles } from './rope.ts';

const shape = { ropeDim: 8, ropeBase: 10_000, ropeScale: 1 };

/** The pair (cos, sin) of dimension pair `pair` at the n-th position asked for. */
const at = (angles: Float32Array, n: number, pair: number, nPairs = 4) => [
  ...angles.subarray((n * nPairs + pair) * 2, (n * nPairs + pair) * 2 + 2),
];

describe('ropeAngles', () => {
  it('turns pair i by pos · base^(-2i / ropeDim)', () => {
    const angles = ropeAngles(shape, null, 5, 2);
    for (const [n, pos] of [5, 6].entries()) {
      for (let pair = 0; pair < 4; pair++) {
        const angle = pos * 10_000 ** (-pair / 4);
        expect(at(angles, n, pair)).toEqual([Math.fround(Math.cos(angle)), Math.fround(Math.sin(angle))]);
      }
    }
  });

  it('is as exact at position 5,000,000 as at 5: the angle is reduced in double precision', () => {
    const [cos] = at(ropeAngles(shape, null, 5_000_000, 1), 0, 1);
    expect(cos).toBe(Math.fround(Math.cos(500_000)));
    // Control: what an angle in f32 would give. 4,999,999 · 0.1 is no f32.
    const inF32 = Math.cos(Math.fround(Math.fround(4_999_999) * Math.fround(0.1)));
    expect(Math.abs(at(ropeAngles(shape, null, 4_999_999, 1), 0, 1)[0]! - inF32)).toBeGreaterThan(1e-4);
  });

  it('divides frequencies by the divisors of the file, and positions by the scale', () => {
    const freqs = Float32Array.of(1, 2, 4, 8);
    expect(at(ropeAngles(shape, freqs, 8, 1), 0, 3)).toEqual(at(ropeAngles(shape, null, 1, 1), 0, 3));
    expect(ropeAngles({ ...shape, ropeScale: 4 }, null, 12, 1)).toEqual(ropeAngles(shape, null, 3, 1));
  });
});
