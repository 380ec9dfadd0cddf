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
