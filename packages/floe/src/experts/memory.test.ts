/** The memory tier never holds more than its budget, and of what it was offered that which is worth most. */
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { MemoryTier } from './memory.ts';

const record = (sizeBytes: number) => new Uint8Array(sizeBytes);
/** Each key is worth its own number. */
const tier = (budgetBytes: number) => new MemoryTier(budgetBytes, (key) => key);
const held = (memory: MemoryTier) => Array.from({ length: 100 }, (_, key) => key).filter((key) => memory.has(key));

describe('the memory tier', () => {
  it('gives back the very record it was offered, until it is cleared', () => {
    const memory = tier(10);
    const one = record(4);
    memory.offer(1, one);
    expect([memory.get(1), memory.get(2), memory.usedBytes]).toEqual([one, undefined, 4]);
    expect(memory.get(1)).toBe(one);
    memory.clear();
    expect([memory.has(1), memory.usedBytes]).toEqual([false, 0]);
  });

  it('counts a record that is offered twice once', () => {
    const memory = tier(10);
    memory.offer(1, record(4));
    memory.offer(1, record(4));
    expect(memory.usedBytes).toBe(4);
  });

  it.each([
    { sizeBytes: 10, isKept: true },
    { sizeBytes: 11, isKept: false },
  ])('of a budget of 10 bytes keeps a record of $sizeBytes: $isKept', ({ sizeBytes, isKept }) => {
    const memory = tier(10);
    memory.offer(1, record(sizeBytes));
    expect([memory.has(1), memory.usedBytes]).toEqual([isKept, isKept ? sizeBytes : 0]);
  });

  it.each([
    { what: 'worth more than one of them takes its place', key: 6, after: [6, 9] },
    { what: 'worth less than all does not', key: 1, after: [5, 9] },
  ])('when it is full, a record $what', ({ key, after }) => {
    const memory = tier(8);
    memory.offer(5, record(4));
    memory.offer(9, record(4));
    memory.offer(key, record(4));
    expect(held(memory)).toEqual(after);
  });

  it('keeps the older of two that are worth the same', () => {
    const memory = new MemoryTier(4, () => 1);
    memory.offer(5, record(4));
    memory.offer(6, record(4));
    expect(held(memory)).toEqual([5]);
  });

  it('makes room for a larger record out of several that are worth less', () => {
    const memory = tier(12);
    for (const key of [1, 2, 9]) memory.offer(key, record(4));
    memory.offer(5, record(8));
    expect([held(memory), memory.usedBytes]).toEqual([[5, 9], 12]);
  });

  it('lets none go for a record that would still not fit without one that is worth more', () => {
    const memory = tier(12);
    for (const key of [1, 8, 9]) memory.offer(key, record(4));
    memory.offer(5, record(8));
    expect(held(memory)).toEqual([1, 8, 9]);
  });

  it('goes by what a record is worth now, not when it came', () => {
    const worth = new Map([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    const memory = new MemoryTier(8, (key) => worth.get(key)!);
    memory.offer(1, record(4));
    memory.offer(2, record(4));
    worth.set(1, 9);
    memory.offer(3, record(4));
    expect(held(memory)).toEqual([1, 3]);
  });

  it('never holds more than its budget, whatever it is offered', () => {
    const random = seeded('memory');
    const memory = tier(50);
    for (let i = 0; i < 1000; i++) {
      memory.offer(random.int(0, 99), record(random.int(0, 60)));
      const usedBytes = held(memory).reduce((sum, key) => sum + memory.get(key)!.byteLength, 0);
      expect(memory.usedBytes).toBe(usedBytes);
      expect(usedBytes).toBeLessThanOrEqual(50);
    }
  });
});
