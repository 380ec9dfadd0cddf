/** The likeliest ids are those of a full sort, however few or many are asked for. */
import { describe, expect, it } from 'vitest';
import { likeliest } from './logprobs.ts';

const sorted = (logits: Float32Array) => Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);

const vocabularies: Record<string, Float32Array> = {
  'all different': Float32Array.from({ length: 1_000 }, (_, i) => Math.sin(i * i)),
  'many equal': Float32Array.from({ length: 1_000 }, (_, i) => (i * 7) % 5),
  rising: Float32Array.from({ length: 1_000 }, (_, i) => i),
  falling: Float32Array.from({ length: 1_000 }, (_, i) => -i),
  'half of them excluded': Float32Array.from({ length: 1_000 }, (_, i) => (i % 2 ? Number.NEGATIVE_INFINITY : i % 9)),
};

describe.each(Object.entries(vocabularies))('likeliest: %s', (_, logits) => {
  // Nothing, one, the most that are inserted one by one, the fewest that are sorted, all, more than there are.
  it.each([0, 1, 20, 64, 65, 1_000, 1_001])('the first %i', (top) => {
    expect(likeliest(logits, top)).toEqual(sorted(logits).slice(0, top));
  });
});
