import { randomTexts } from '@floe/testkit/randomTexts';
import { beforeAll, describe, expect, it } from 'vitest';
import { ARCTIC_TINY, hasVectors, readVectors, readVocabulary, spmVocabulary, vectorFile } from './testFiles.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';
import type { Vocabulary } from './vocabulary.ts';

describe.skipIf(!hasVectors).each(['llama-spm', 'gpt-2', 'bert-bge'] as const)('the tokenizer of %s', (name) => {
  it('gives the ids of every vector of llama.cpp, and the text back', async () => {
    const tokenizer = createTokenizer(await readVocabulary(vectorFile(name)));
    const vectors = readVectors(name);
    expect(vectors.length).toBeGreaterThanOrEqual(46);
    for (const { text, ids } of vectors) {
      expect(tokenizer.tokenize(text), JSON.stringify(text)).toEqual(ids);
      // BERT's writes all in lower case and without accents.
      if (name !== 'bert-bge') expect(tokenizer.detokenize(ids), JSON.stringify(text)).toBe(text);
    }
  });
});

describe('special tokens', () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = createTokenizer(await readVocabulary(ARCTIC_TINY));
  });

  it('are found with `special`, and only then', () => {
    expect(tokenizer.tokenize('<|im_start|>', { special: true })).toEqual([2046]);
    expect(tokenizer.tokenize('<|im_start|>').some((id) => id >= 2045)).toBe(false);
  });

  it('are dropped from text unless asked for', () => {
    const ids = tokenizer.tokenize('<|im_start|>SELECT<|im_end|>', { special: true });
    expect(tokenizer.detokenize(ids)).toBe('SELECT');
    expect(tokenizer.detokenize(ids, { special: true })).toBe('<|im_start|>SELECT<|im_end|>');
  });

  it('never come from text by merging: SentencePiece may not merge a typed <s> into BOS', () => {
    // '<', 's>' and '<s' are pieces, so that the merges lead there.
    const spm = createTokenizer(spmVocabulary(['<', 's', '>', '<s', 's>', '▁']));
    expect(spm.tokenize('<s>')).not.toContain(1);
    expect(spm.tokenize('<s>', { special: true })).toEqual([1]);
  });

  it('are found in frames only, whatever a content says', () => {
    const ids = tokenizer.tokenizeSegments([
      { kind: 'frame', text: '<|im_start|>' },
      { kind: 'content', text: '<|im_end|>' },
      { kind: 'frame', text: '<|im_end|>' },
    ]);
    expect(ids.filter((id) => id >= 2045)).toEqual([2046, 2047]);
  });

  it('are not put together from a frame and a content', () => {
    const halves = [{ kind: 'frame', text: '<|im_' } as const, { kind: 'content', text: 'end|>' } as const];
    expect(tokenizer.tokenizeSegments(halves)).not.toContain(2047);
    // Control: two frames may.
    expect(tokenizer.tokenizeSegments(halves.map(({ text }) => ({ kind: 'frame', text })))).toEqual([2047]);
  });

  describe('that are user-defined', () => {
    const vocab = spmVocabulary(['▁', 'a', '<tool>', '<|user|>']);
    const [tool, marker] = ['<tool>', '<|user|>'].map((text) => vocab.tokens.indexOf(text));
    const types = vocab.types!.map((type, id) => (id === tool || id === marker ? 4 : type));
    const spm = createTokenizer({ ...vocab, types });
    const found = (frame: string, content: string) =>
      spm
        .tokenizeSegments([
          { kind: 'frame', text: frame },
          { kind: 'content', text: content },
        ])
        .filter((id) => id === tool || id === marker);

    it('count in a content too, unless the frame is made of them', () => {
      expect(found('a', 'a<tool>')).toEqual([tool]);
      expect(found('<tool>', 'a<tool>')).toEqual([tool]); // The frame's own.
    });

    it('and look like a role’s marker do not count in a chat’s content, though in plain text, as in llama.cpp', () => {
      expect(found('a', 'a<|user|>')).toEqual([]);
      expect(found('<|user|>', 'a')).toEqual([marker]);
      expect(spm.tokenize('<|user|>')).toEqual([marker]);
    });
  });
});

describe('tokenize', () => {
  it('gives the same ids for a text in parts as for the whole', async () => {
    const tokenizer = createTokenizer(await readVocabulary(ARCTIC_TINY));
    for (const text of randomTexts(200, 4)) {
      const cut = text.length >> 1;
      const parts = [text.slice(0, cut), text.slice(cut)];
      if (parts.some((part) => /\p{Surrogate}/u.test(part))) continue;
      const segments = parts.map((part) => ({ kind: 'content', text: part }) as const);
      expect(tokenizer.tokenizeSegments(segments), JSON.stringify(text)).toEqual(tokenizer.tokenize(text));
    }
  });

  it('takes a whole word before any merge where the pre-tokenizer says so', () => {
    const vocab: Vocabulary = {
      ...spmVocabulary([]),
      ...{ model: 'gpt2', tokens: ['a', 'b', 'ab'], types: null, scores: null, merges: [], addSpacePrefix: false },
    };
    expect(createTokenizer({ ...vocab, pre: 'llama-bpe' }).tokenize('ab')).toEqual([2]);
    expect(createTokenizer({ ...vocab, pre: 'dbrx' }).tokenize('ab')).toEqual([0, 1]);
  });

  it('puts BOS and EOS around a text where the file wants them, and nowhere else', () => {
    const vocab = spmVocabulary(['▁', 'a', '▁a']);
    const ids = createTokenizer(vocab).tokenize('a');
    expect(createTokenizer(vocab).tokenize('a', { addSpecial: true })).toEqual([1, ...ids]);
    expect(createTokenizer({ ...vocab, addBos: false, addEos: true }).tokenize('a', { addSpecial: true })).toEqual([
      ...ids,
      2,
    ]);
    expect(createTokenizer(vocab).tokenize('', { addSpecial: true })).toEqual([1]);
    expect(createTokenizer(vocab).tokenize('')).toEqual([]);
  });

  it('puts SentencePiece’s space at the beginning and after each special token (T8)', () => {
    const vocab = spmVocabulary(['▁', 'a', '▁a']);
    const [space, a, spaceA] = ['▁', 'a', '▁a'].map((piece) => vocab.tokens.indexOf(piece));
    expect(createTokenizer(vocab).tokenize('a<|im_end|>a', { special: true })).toEqual([spaceA, 4, spaceA]);
    const without = createTokenizer({ ...vocab, addSpacePrefix: false });
    expect(without.tokenize('a<|im_end|>a', { special: true })).toEqual([a, 4, a]);
    expect(createTokenizer(vocab).tokenize('  ')).toEqual([space, space, space]);
  });

  it('reads half a surrogate pair as U+FFFD', async () => {
    const tokenizer = createTokenizer(await readVocabulary(ARCTIC_TINY));
    expect(tokenizer.tokenize('a\ud83d')).toEqual(tokenizer.tokenize('a\ufffd'));
    expect(tokenizer.detokenize(tokenizer.tokenize('a\ud83d'))).toBe('a\ufffd');
  });

  it('takes time in proportion to a text without a place to cut', async () => {
    const tokenizer = createTokenizer(await readVocabulary(ARCTIC_TINY));
    const start = performance.now();
    expect(tokenizer.detokenize(tokenizer.tokenize('ab'.repeat(50_000)))).toHaveLength(100_000);
    // 0.2 s here; a quadratic merge would take minutes.
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it('takes time in proportion to a text full of special tokens', () => {
    const vocab = spmVocabulary(['▁', 'a', '<x>', '<y>', '<z>']);
    const types = vocab.types!.map((type, id) => (vocab.tokens[id]!.startsWith('<') && id > 260 ? 4 : type));
    const tokenizer = createTokenizer({ ...vocab, types });
    const start = performance.now();
    expect(tokenizer.tokenize('<x><y><z>'.repeat(20_000))).toHaveLength(60_000);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it('refuses an id that no token has', async () => {
    const tokenizer = createTokenizer(await readVocabulary(ARCTIC_TINY));
    expect(() => tokenizer.detokenize([2048])).toThrow(/no token 2048; ids go from 0 to 2047/);
    expect(tokenizer.detokenize([2044])).toBe('Goodbye');
  });
});
