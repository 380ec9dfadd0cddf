import { describe, expect, it } from 'vitest';
import { expectNear, klDivergence, logSoftmax, nmse, worst } from './expectNear.ts';
import { seeded } from './seeded.ts';

describe('seeded', () => {
  it('gives the same numbers for the same seed, on every machine', () => {
    expect(seeded(1).normals(3)).toEqual(seeded(1).normals(3));
    expect(seeded(1).ints(6, 0, 99)).not.toEqual(seeded(2).ints(6, 0, 99));
    // Written down, so that a change of the generator is seen: fixtures would change with it.
    expect(Array.from(seeded(1).ints(6, 0, 99))).toEqual([44, 11, 81, 3, 6, 28]);
  });
  it('has the moments it says', () => {
    const n = 100_000;
    const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const normals = seeded(7).normals(n);
    // A mean of n has deviation 1/√n = 0.003; five of them.
    expect(Math.abs(mean(normals))).toBeLessThan(0.016);
    expect(mean(normals.map((value) => value ** 2))).toBeCloseTo(1, 1);
    expect(mean(normals.map((value) => value ** 4))).toBeCloseTo(3, 0);
    expect(Math.abs(mean(seeded(8).uniforms(n)) - 0.5)).toBeLessThan(0.005);
  });
  it('int reaches both bounds and nothing beyond', () => {
    expect(new Set(seeded(9).ints(200, -1, 2))).toEqual(new Set([-1, 0, 1, 2]));
  });
  it('a fork does not depend on what was drawn before', () => {
    const a = seeded(4);
    a.normals(10);
    expect(a.fork('x').uniform()).toBe(seeded(4).fork('x').uniform());
    expect(seeded(4).fork('x').uniform()).not.toBe(seeded(4).fork('y').uniform());
  });
});

describe('nmse', () => {
  it.each([
    ['equal lists', [1, 2], [1, 2], 0],
    ['all zeros', [0], [0], 0],
    ['an error of a tenth', [1.1], [1], 0.01],
    ['something where nothing should be', [1], [0], Infinity],
    ['NaN', [Number.NaN], [1], Infinity],
    ['infinity in both', [Infinity], [Infinity], Infinity],
    ['another length', [1], [1, 2], Infinity],
  ])('%s', (_what, actual, expected, value) => expect(nmse(actual, expected)).toBeCloseTo(value, 12));

  it('expectNear says where it is worst', () => {
    expect(() => expectNear([1, 2], [1, 2], 0)).not.toThrow();
    expect(() => expectNear([1, 2, 3], [1, 5, 3], 1e-6, 'y')).toThrow(/y: nmse .* worst at 1: 2 instead of 5/);
    expect(worst([1, Number.NaN, 9], [1, 1, 1])).toEqual({ index: 1, difference: Number.NaN });
  });
});

describe('distributions', () => {
  it('logSoftmax sums to one and keeps differences', () => {
    const logprobs = logSoftmax([1000, 1001]);
    expect(logprobs.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 12);
    expect(logprobs[1]! - logprobs[0]!).toBeCloseTo(1, 12);
  });
  it('klDivergence is 0 for the same and positive for another', () => {
    const [p, q] = [logSoftmax([0, 1]), logSoftmax([1, 0])];
    expect(klDivergence(p, p)).toBe(0);
    expect(klDivergence(p, q)).toBeCloseTo(Math.tanh(0.5), 12);
  });
});
