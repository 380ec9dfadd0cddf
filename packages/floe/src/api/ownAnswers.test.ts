import { expect, it } from 'vitest';
import { OwnAnswers } from './ownAnswers.ts';

it('knows the last answers by their very text, and forgets the oldest', () => {
  const own = new OwnAnswers(2);
  own.remember('SELECT 1', [1]);
  own.remember('SELECT 2', [2]);
  own.remember('', [9]);
  own.remember('SELECT 1', [3]);
  own.remember('SELECT 4', [4]);
  expect(['SELECT 1', 'SELECT 2', 'SELECT 4', 'SELECT 1 ', ''].map((text) => own.idsOf(text))).toEqual([
    ...[[3], undefined, [4]],
    ...[undefined, undefined],
  ]);
});

it('says which of them stand in ids', () => {
  const own = new OwnAnswers();
  own.remember('a', [1, 2]);
  own.remember('b', [2, 1]);
  own.remember('c', [1, 1, 2]);
  expect(own.within([1, 1, 2, 5])).toEqual([
    { text: 'a', ids: [1, 2] },
    { text: 'c', ids: [1, 1, 2] },
  ]);
  expect(own.within([])).toEqual([]);
});
