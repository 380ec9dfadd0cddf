/** SQL is split without loss, and a name that the tables lack is found. */
import { describe, expect, it } from 'vitest';
import { isSql, pieces, unknownNames } from './sql.ts';

const tables = 'CREATE TABLE orders (id INTEGER PRIMARY KEY, amount REAL, order_date DATE);';

describe('pieces', () => {
  it.each([
    "SELECT COUNT(*) FROM orders WHERE name LIKE 'O''Brien%';",
    "SELECT 'never closed",
    'SELECT größe, 1.5 FROM "x";\n\t-- 😀',
    '',
  ])('keep every character of %j', (sql) => {
    const texts = pieces(sql).map(({ text }) => text);
    expect(texts.join('')).toBe(sql);
  });
  it('know a function by its bracket', () => {
    const kinds = pieces('MAX(max)').map(({ kind }) => kind);
    expect(kinds).toEqual(['function', 'other', 'name', 'other']);
  });
});

describe('unknownNames', () => {
  it.each([
    ['SELECT amount FROM orders;', []],
    ['SELECT netings.amount FROM orders;', ['netings']],
    ["SELECT strftime('%Y', order_date), SUM(Amount) AS total_sum FROM orders ORDER BY total_sum;", []],
    ["SELECT amount FROM orders WHERE amount = 'elsewhere' AND amont > 1;", ['amont']],
  ])('of %s are %j', (sql, unknown) => {
    expect(unknownNames(sql, tables)).toEqual(unknown);
  });
});

describe('isSql', () => {
  it.each([
    ['SELECT 1;', true],
    ['  with a as (select 1) select * from a', true],
    ['Hello! Select a table.', false],
    ['selection', false],
  ])('%j: %j', (text, answer) => {
    expect(isSql(text)).toBe(answer);
  });
});
