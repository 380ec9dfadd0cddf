import { describe, expect, it } from 'vitest';
import { testData } from './data.ts';

describe('testData', () => {
  it('finds a file that is shipped', () =>
    expect(testData('arctic-tiny-sql-q4_0.gguf')).toMatch(/arctic-tiny-sql-q4_0\.gguf$/));
  it('is null for one this machine does not have', () => expect(testData('no-such-file.gguf')).toBeNull());
});
