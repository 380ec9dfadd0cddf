/** The closed form, by hand: each schedule's sum over layers that hit and layers that miss. */
import { describe, expect, it } from 'vitest';
import { type LayerCosts, layerMs, leastRunAhead, stallMs } from './simulateCost.ts';

const arctic: LayerCosts = {
  denseMs: 3,
  expertsMs: 2,
  routerMs: 1,
  skippedMs: 0.1,
  readBackMs: 8,
  submitMs: 1,
  uploadMs: 5,
  uploadQueueMs: 0.5,
  routesFromInput: true,
};
const mixtral = { ...arctic, routesFromInput: false };
const noMiss = [0, 0, 0, 0];
// Layer 1 misses two, layer 3 one.
const misses = [0, 2, 0, 1];

describe('stallMs', () => {
  it('sync: every layer waits for its route, then for its uploads', () => {
    expect(stallMs(arctic, 'sync', noMiss)).toBe(9 + 4 * 9);
    expect(stallMs(arctic, 'sync', misses)).toBe(9 + 4 * 9 + 3 * (5 + 0.5));
  });
  it('0 ahead: the dense work hides as much of both', () => {
    expect(stallMs(arctic, 0, noMiss)).toBe(9 + 4 * (9 - 3));
    expect(stallMs(arctic, 0, misses)).toBe(9 + 2 * (9 - 3) + (9 + 10 - 3) + (9 + 5 - 3) + 3 * 0.5);
    // Where the router comes after the dense work nothing does: as if in turns.
    expect(stallMs(mixtral, 0, misses)).toBe(stallMs(mixtral, 'sync', misses));
  });
  it('n ahead: only the layers with a miss wait, and the token itself', () => {
    expect(stallMs(arctic, 1, noMiss)).toBe(9);
    expect(stallMs(arctic, 1, misses)).toBe(9 + (9 + 10 - 3) + (9 + 5 - 3) + 3 * 0.5);
  });
  it('n ahead: at least the skipped layers must fall through', () => {
    expect(stallMs({ ...arctic, readBackMs: 0, submitMs: 0, uploadMs: 0, skippedMs: 2 }, 3, misses)).toBe(
      2 * 6 + 3 * 0.5,
    );
  });
  it('too few ahead: layers without a miss wait for the rest, shared by those between', () => {
    // 20 + 1 - 3 - 6 = 12, by two waits.
    expect(stallMs({ ...arctic, readBackMs: 20 }, 1, noMiss)).toBe(21 + 4 * 6);
  });
  it('all ahead: a miss drains the token, and nothing hides it', () => {
    expect(stallMs(arctic, 4, noMiss)).toBe(9);
    expect(stallMs(arctic, 4, misses)).toBeCloseTo(9 + (3 * 0.1 + 9 + 10) + (0.1 + 9 + 5) + 3 * 0.5, 9);
  });
  it('whole: nor what is encoded before anything runs', () => {
    expect(stallMs(arctic, 'whole', noMiss)).toBe(8 + 4);
    expect(stallMs(arctic, 'whole', misses)).toBeCloseTo(12 + (3 * 1.1 + 8 + 10) + (1.1 + 8 + 5) + 3 * 0.5, 9);
  });
});

describe('leastRunAhead', () => {
  it('is what hides the way to the host and back', () => {
    expect(layerMs(arctic)).toBe(6);
    expect(leastRunAhead(arctic)).toBe(1);
    expect(leastRunAhead(mixtral)).toBe(2);
    expect(leastRunAhead({ ...arctic, readBackMs: 2 })).toBe(0);
    // With it, a layer without a miss does not wait; with one less it does.
    expect(stallMs(mixtral, 2, noMiss)).toBe(9);
    expect(stallMs(mixtral, 1, noMiss)).toBeGreaterThan(9);
  });
});
