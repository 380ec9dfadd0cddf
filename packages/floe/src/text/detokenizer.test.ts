import { randomTexts } from '@floe/testkit/randomTexts';
import { describe, expect, it } from 'vitest';
import { StreamingDetokenizer } from './detokenizer.ts';
import { ARCTIC_TINY, readVocabulary, spmVocabulary } from './testFiles.ts';
import { createTokenizer } from './tokenizer.ts';

describe('StreamingDetokenizer', () => {
  it('holds an emoji back until its last token, then gives it whole', async () => {
    const tokenizer = createTokenizer(await readVocabulary(ARCTIC_TINY));
    const ids = tokenizer.tokenize('🦙');
    expect(ids.length).toBeGreaterThan(1); // Control: it is split.
    const stream = new StreamingDetokenizer(tokenizer);
    expect(ids.map((id) => stream.push(id))).toEqual([...ids.slice(1).map(() => ''), '🦙']);
    expect(stream.flush()).toBe('');
  });

  it.each(['bpe', 'spm'])('gives in pieces what detokenize gives at once: %s', async (kind) => {
    const tokenizer = createTokenizer(
      kind === 'bpe' ? await readVocabulary(ARCTIC_TINY) : spmVocabulary(['▁', 'a', '▁a', 'B', 'Hello', '▁▁']),
    );
    for (const text of randomTexts(300, 5).filter((each) => !/\ufffd|\p{Surrogate}/u.test(each))) {
      const ids = tokenizer.tokenize(text);
      const stream = new StreamingDetokenizer(tokenizer);
      const pieces = ids.map((id) => stream.push(id));
      for (const piece of pieces) expect(piece).not.toMatch(/\ufffd|\p{Surrogate}/u);
      expect(pieces.join('') + stream.flush()).toBe(text);
    }
  });

  it('ends a character that was never finished as U+FFFD', () => {
    const tokenizer = createTokenizer(spmVocabulary(['▁']));
    const stream = new StreamingDetokenizer(tokenizer);
    expect(stream.push(tokenizer.vocabulary.tokens.indexOf('<0xF0>'))).toBe('');
    expect(stream.flush()).toBe('\ufffd');
  });

  it('keeps U+FEFF at the beginning: it is no byte order mark here', async () => {
    const tokenizer = createTokenizer(await readVocabulary(ARCTIC_TINY));
    expect(tokenizer.detokenize(tokenizer.tokenize('\ufeffa'))).toBe('\ufeffa');
  });

  it('takes off SentencePiece’s first space, also behind BOS, but not where the ids go on with a text', () => {
    const tokenizer = createTokenizer(spmVocabulary(['▁', 'a', '▁a']));
    const spaceA = tokenizer.vocabulary.tokens.indexOf('▁a');
    expect(tokenizer.detokenize([1, spaceA, spaceA])).toBe('a a');
    const continued = new StreamingDetokenizer(tokenizer, { continues: true });
    expect(continued.push(spaceA)).toBe(' a');
  });
});
