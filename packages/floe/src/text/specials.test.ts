/** Special tokens are cut out of a text the longest first, wherever they stand, however they overlap. */
import { seeded } from '@floe/testkit/seeded';
import { expect, it } from 'vitest';
import { type Fragment, Specials } from './specials.ts';
import { spmVocabulary } from './testFiles.ts';
import { TokenType, type Vocabulary } from './vocabulary.ts';

function vocabularyOf(tokens: readonly string[]): Vocabulary {
  const types = Int32Array.from(tokens, () => TokenType.userDefined);
  return { ...spmVocabulary([]), tokens, types };
}

/** Each token by itself is looked for in what those before it left. */
function plainly(text: string, tokens: readonly string[]): Fragment[] {
  let fragments: Fragment[] = [{ kind: 'text', text }];
  const longestFirst = [...tokens.entries()].sort(([i, a], [j, b]) => b.length - a.length || i - j);
  for (const [id, token] of longestFirst) {
    fragments = fragments.flatMap((fragment) => {
      if (fragment.kind === 'token') return [fragment];
      const between = fragment.text.split(token).map((part): Fragment => ({ kind: 'text', text: part }));
      return between.flatMap((part, i): Fragment[] => (i === 0 ? [part] : [{ kind: 'token', id }, part]));
    });
  }
  return fragments.filter((fragment) => fragment.kind === 'token' || fragment.text !== '');
}

it('as one does it who looks for each by itself, in 500 texts', () => {
  const random = seeded('specials');
  const word = (most: number) => Array.from({ length: random.int(1, most) }, () => 'ab<'[random.int(0, 2)]).join('');
  let nTokens = 0;
  for (let round = 0; round < 500; round++) {
    const tokens = [...new Set(Array.from({ length: 6 }, () => word(5)))];
    const text = word(60);
    const found = new Specials(vocabularyOf(tokens)).partition(text, []);
    expect(found, `${JSON.stringify(tokens)} in ${text}`).toEqual(plainly(text, tokens));
    nTokens += found.filter(({ kind }) => kind === 'token').length;
  }
  expect(nTokens).toBeGreaterThan(1000);
});
