/** What is asked for covers every record once, in few requests. */
import { describe, expect, it } from 'vitest';
import { groupRecords, sourcesOf } from './fetchPlan.ts';
import { testModel } from './host.testing.ts';

const { plans } = testModel();

describe('groupRecords', () => {
  it.each([1_000, 16_384, 8 << 20])('covers each record at %i bytes a request, none longer', (rangeBytes) => {
    const groups = groupRecords(plans, rangeBytes);
    expect(groups.flatMap((group) => group.plans)).toEqual(plans);
    for (const group of groups) {
      expect(Math.max(...group.ranges.map(({ length }) => length))).toBeLessThanOrEqual(rangeBytes);
      for (const { offset, sizeBytes } of group.plans.flatMap(sourcesOf)) {
        let covered = 0;
        for (const range of group.ranges) {
          covered += Math.max(
            0,
            Math.min(range.offset + range.length, offset + sizeBytes) - Math.max(range.offset, offset),
          );
        }
        expect(covered).toBe(sizeBytes);
      }
    }
  });

  it('asks for consecutive experts in three ranges, not three each', () => {
    const experts = plans.slice(2);
    expect(groupRecords(experts.slice(0, 4), 8 << 20).map(({ ranges }) => ranges.length)).toEqual([3]);
  });

  it('has nothing to ask for no records', () => expect(groupRecords([], 1_000)).toEqual([]));
});
