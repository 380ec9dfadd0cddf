/** Each policy's victim is the one its definition names, and the default's counts are those of its formula. */
import { describe, expect, it } from 'vitest';
import { type CachePolicy, decayedCounts, lfu, lruGlobal, lruPerLayer } from './policy.ts';

const size = { nLayers: 2, nExperts: 8, nExpertsUsed: 2, nSlots: 4 };
const none = () => false;
/** Uses in order, as [key, token]. */
function after(policy: CachePolicy, uses: readonly (readonly [number, number])[]): CachePolicy {
  for (const [key, token] of uses) policy.use(key, token);
  return policy;
}

describe.each([decayedCounts, lruGlobal, lruPerLayer, lfu])('$name', (make) => {
  it('gives the lowest key of equals, in whatever order they come', () => {
    for (const resident of [
      [3, 1, 2],
      [1, 2, 3],
      [2, 3, 1],
    ])
      expect(make(size).victim(resident, none, 0)).toBe(1);
  });
  it('never gives what is pinned, and null where all is', () => {
    const policy = after(make(size), [
      [3, 0],
      [2, 1],
    ]);
    expect(policy.victim([2, 3], (key) => key === 3, 1)).toBe(2);
    expect(policy.victim([2, 3], () => true, 1)).toBeNull();
    expect(policy.victim([], none, 1)).toBeNull();
  });
  it('reads what is resident once: an iterator that can be read only once will do', () => {
    const policy = after(make(size), [
      [3, 0],
      [2, 1],
    ]);
    expect(
      policy.victim(
        new Map([
          [2, 'slot'],
          [3, 'slot'],
        ]).keys(),
        none,
        1,
      ),
    ).toBe(3);
  });
  it('scores what it keeps above what it gives', () => {
    const policy = after(make(size), [
      [3, 0],
      [2, 0],
      [2, 1],
    ]);
    expect(policy.victim([2, 3], none, 1)).toBe(3);
    expect(policy.score(2, 1)).toBeGreaterThan(policy.score(3, 1));
  });
});

describe('decayedCounts', () => {
  const uses = [0, 3, 4, 90, 5000];
  const formula = (now: number) =>
    [2, 16, 64].reduce((sum, tau) => sum + uses.reduce((f, token) => f + Math.exp((token - now) / tau), 0) / tau, 0);

  it('scores the sum of f(tau) / tau, each use decayed by its age', () => {
    const policy = after(
      decayedCounts(size),
      uses.map((token) => [5, token] as const),
    );
    for (const now of [5000, 5007, 5200, 9000, 10_000]) {
      // The layer was reached by this token, through another expert.
      policy.use(4, now);
      expect(policy.score(5, now) / formula(now)).toBeCloseTo(1, 9);
    }
  });
  it('scores a layer that the token has not reached as of the token before', () => {
    const policy = after(
      decayedCounts(size),
      uses.map((token) => [5, token] as const),
    );
    expect(policy.score(5, 5001)).toBeCloseTo(formula(5000), 12);
    expect(policy.score(5, 5002)).toBeCloseTo(formula(5001), 12);
    // So an expert of layer 1 that the last token used is worth as much as one of layer 0 that this one did.
    const both = after(decayedCounts(size), [
      [0, 7],
      [8, 7],
      [0, 8],
    ]);
    const one = after(decayedCounts(size), [
      [8, 8],
      [0, 9],
    ]);
    expect(one.score(8, 9)).toBe(one.score(0, 9));
    expect(both.score(8, 8)).toBeLessThan(both.score(0, 8));
  });
  it('counts a use of a prompt by its weight', () => {
    const policy = decayedCounts(size);
    policy.use(1, 0, 0.25);
    policy.use(2, 0);
    expect(policy.score(1, 3)).toBeCloseTo(policy.score(2, 3) / 4, 12);
  });
  it('leaves a layer as many as one of its tokens uses', () => {
    // Layer 1 was not used for long, but holds only two.
    const uses = [
      [8, 0],
      [9, 0],
      [0, 50],
      [1, 51],
      [2, 52],
    ] as const;
    const policy = after(decayedCounts({ ...size, nSlots: 5 }), uses);
    expect(policy.victim([8, 9, 0, 1, 2], none, 53)).toBe(0);
    // Everything else pinned: then it gives too.
    expect(policy.victim([8, 9, 0, 1, 2], (key) => key < 8, 53)).toBe(8);
    // Control: with fewer slots than one token uses there is no floor.
    expect(after(decayedCounts({ ...size, nSlots: 3 }), uses).victim([8, 9, 0], none, 53)).toBe(8);
  });
  it('goes on from a snapshot as if it had not stopped', () => {
    const first = after(decayedCounts(size), [
      [1, 0],
      [2, 3],
      [1, 7],
      [9, 8],
    ]) as ReturnType<typeof decayedCounts>;
    const second = decayedCounts(size);
    second.use(4, 0);
    second.restore(first.snapshot(10));
    for (const key of [1, 2, 4, 9]) expect(second.score(key, 5)).toBeCloseTo(first.score(key, 15), 6);
    expect(second.score(4, 0)).toBe(0);
  });
  it.each([
    ['another length', new Float32Array(47)],
    ['a number that is none', new Float32Array(48).fill(Number.NaN)],
    ['a count below zero', new Float32Array(48).fill(-1)],
  ])('refuses a snapshot with %s, and keeps its own counts', (_, state) => {
    const policy = decayedCounts(size);
    policy.use(1, 0);
    expect(() => policy.restore(state)).toThrowError(expect.objectContaining({ code: 'request/invalid' }));
    expect(policy.score(1, 0)).toBeGreaterThan(0);
  });
});

describe('lruGlobal', () => {
  it('gives the least recently used, of one token the first', () => {
    const policy = after(lruGlobal(size), [
      [1, 0],
      [9, 0],
      [2, 1],
      [1, 1],
    ]);
    expect(policy.victim([1, 2, 9], none, 1)).toBe(9);
    expect(policy.victim([1, 2], none, 1)).toBe(2);
  });
});

describe('lruPerLayer', () => {
  it("gives the wanted layer's own least recently used once its quota is full", () => {
    const policy = after(lruPerLayer(size), [
      [8, 0],
      [9, 0],
      [1, 1],
      [2, 1],
      [3, 2],
    ]);
    expect(policy.victim([1, 2, 8, 9], none, 2)).toBe(1);
  });
  it('takes back what another layer borrowed', () => {
    const policy = after(lruPerLayer(size), [
      [1, 0],
      [2, 0],
      [3, 1],
      [8, 1],
      [9, 2],
    ]);
    expect(policy.victim([1, 2, 3, 8], none, 2)).toBe(1);
  });
});

describe('lfu', () => {
  it('gives the least often used, of equals the least recently used', () => {
    const policy = after(lfu(size), [
      [1, 0],
      [1, 1],
      [3, 2],
      [2, 3],
    ]);
    expect(policy.victim([1, 2, 3], none, 900)).toBe(3);
    expect(policy.victim([1, 2], none, 900)).toBe(2);
  });
});
