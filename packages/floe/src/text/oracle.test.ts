/** Ids are llama.cpp's: the same vocabulary in both, the same texts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testData } from '@floe/testkit/data';
import { type MetadataInput, writeGguf } from '@floe/testkit/ggufWriter';
import { openOracle } from '@floe/testkit/oracle';
import { randomTexts } from '@floe/testkit/randomTexts';
import { MIN_VOCAB, randomTokenizer } from '@floe/testkit/randomTokenizer';
import { realVocabularies, VOCABULARY_ONLY } from '@floe/testkit/realVocabularies';
import { afterAll, describe, expect, it } from 'vitest';
import { preTokenizerFamilies } from './preTokenizer.ts';
import { ARCTIC_TINY, hasVectors, readVocabulary, uncutVocabulary, vectorFile } from './testFiles.ts';
import { createTokenizer, type Segment } from './tokenizer.ts';
import type { Vocabulary } from './vocabulary.ts';
import { wellFormed } from './wellFormed.ts';

const temporary = mkdtempSync(join(tmpdir(), 'floe-text-'));
afterAll(() => rmSync(temporary, { recursive: true }));
const write = (metadata: Readonly<Record<string, MetadataInput>>): string => {
  const path = join(temporary, 'vocabulary.gguf');
  writeFileSync(path, writeGguf({ metadata, tensors: [] }));
  return path;
};

const N_TEXTS = 5000;
/** What llama.cpp wants of such a file before it reads its vocabulary. */
const nomicMoe = {
  ...Object.fromEntries(
    Object.entries(VOCABULARY_ONLY).map(([key, value]) => [key.replace(/^gpt2/, 'nomic-bert-moe'), value]),
  ),
  'general.architecture': 'nomic-bert-moe',
  'tokenizer.ggml.remove_extra_whitespaces': false,
} as const;
/** SentencePiece trained this one (`spm_train`, 1600 pieces, rules of its own for NFKC's like) on our random texts. */
const UNIGRAM = testData('unigram.gguf')!;

/** Whether ids are turned back into the very text: not where the vocabulary rewrites it. */
type Back = 'same' | 'rewritten';

async function compare(path: string, texts: readonly string[], back: Back = 'same'): Promise<void> {
  const tokenizer = createTokenizer(await readVocabulary(path));
  const llama = await openOracle(path, { vocabOnly: true });
  for (const [i, text] of texts.entries()) {
    const ids = tokenizer.tokenize(text);
    // `expect` once a text would take longer than all else.
    const same =
      equal(ids, llama.tokenize(text)) && (back === 'rewritten' || tokenizer.detokenize(ids) === wellFormed(text));
    if (!same) {
      expect(ids, JSON.stringify(text)).toEqual([...llama.tokenize(text)]);
      expect(tokenizer.detokenize(ids)).toBe(wellFormed(text));
    }
    if (i % 5 > 0) continue;
    const special = tokenizer.tokenize(text, { special: true });
    if (!equal(special, llama.tokenize(text, { special: true }))) {
      expect(special, JSON.stringify(text)).toEqual([...llama.tokenize(text, { special: true })]);
    }
  }
  await llama.close();
}

function equal(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}

describe('SentencePiece', () => {
  const specials = ['<s>', '</s>', '<unk>', '<0x0A>'];
  it.skipIf(!hasVectors)('gives llama.cpp’s ids for Llama 2’s vocabulary', () =>
    compare(vectorFile('llama-spm'), randomTexts(N_TEXTS, 'llama-spm', specials)),
  );

  it('gives llama.cpp’s ids for Mistral’s vocabulary, without a space before a text too (Gemma)', async () => {
    const { metadata, specials } = await realVocabularies.mistral!();
    await compare(write(metadata), randomTexts(N_TEXTS, 'mistral', specials));
    const bare = { ...metadata, 'tokenizer.ggml.add_space_prefix': false };
    await compare(write(bare), randomTexts(500, 'bare', specials));
  });

  it('gives llama.cpp’s ids where special tokens swallow what is behind them (Phi-3)', async () => {
    const { metadata, specials } = await realVocabularies.mistral!();
    const tokens = (metadata['tokenizer.ggml.tokens'] as readonly string[]).with(31998, '<|user|>');
    const types = (metadata['tokenizer.ggml.token_type'] as Int32Array).slice();
    types.fill(3, 31998);
    const named = {
      ...metadata,
      'general.name': 'Phi-3 mini',
      'tokenizer.ggml.tokens': tokens.with(31999, '<|endoftext|>'),
      'tokenizer.ggml.token_type': types,
    };
    await compare(
      write(named),
      randomTexts(500, 'phi3', specials.concat('<|user|>\n', '<|endoftext|> ', '</s> \t')),
      'rewritten',
    );
  });

  it.skipIf(!hasVectors)('gives llama.cpp’s ids for a conversation in Arctic’s vocabulary (T7, T8, T9)', async () => {
    const base = await readVocabulary(vectorFile('llama-spm'));
    // Arctic instruct is Llama 2's vocabulary but for two Han characters that became the markers.
    const tokens = base.tokens.with(31998, '<|im_start|>').with(31999, '<|im_end|>');
    const han = base.tokens.slice(31998).join('');
    const [types, scores] = [base.types!.slice(), base.scores!.slice()];
    types.fill(3, 31998);
    scores.fill(0, 31998);
    const path = write({
      ...uncutVocabulary([], 0, 'default'),
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.token_type': types,
      'tokenizer.ggml.scores': scores,
    });
    const vocab = await readVocabulary(path);
    const tokenizer = createTokenizer(vocab);
    const llama = await openOracle(path, { vocabOnly: true });
    const chat: Segment[] = [
      { kind: 'frame', text: '<|im_start|>user\n' },
      { kind: 'content', text: `${han} Hi  there\n` },
      { kind: 'frame', text: '<|im_end|>\n<|im_start|>assistant\n' },
    ];
    const ids = tokenizer.tokenizeSegments(chat);
    expect(ids).toEqual(llama.tokenize(chat.map(({ text }) => text).join(''), { special: true }));
    expect(ids.slice(0, 3)).toEqual([31998, 1404, 13]);
    // Without the prefix, the ids the model was trained on: 'user', 'assistant' without a space before them.
    const trained = createTokenizer({ ...vocab, addSpacePrefix: false }).tokenizeSegments(chat);
    expect(trained.slice(0, 3)).toEqual([31998, 1792, 13]);
    expect(trained.slice(-4)).toEqual([31998, 465, 22137, 13]);
    await llama.close();
  });
});

describe('WordPiece', () => {
  it.skipIf(!vectorFile('bert-bge'))('gives llama.cpp’s ids for BERT’s vocabulary', () =>
    compare(vectorFile('bert-bge'), randomTexts(N_TEXTS, 'bert', ['[CLS]', '[MASK]', '[UNK]']), 'rewritten'),
  );
});

describe('Unigram', () => {
  const texts = randomTexts(N_TEXTS, 'unigram', ['<mask>', '<s>', '<unk>']);
  it('gives llama.cpp’s ids, with the file’s normalization', () => compare(UNIGRAM, texts, 'rewritten'));

  it('gives llama.cpp’s ids where spaces count, and without a normalization', async () => {
    const { tokens, scores, types } = await readVocabulary(UNIGRAM);
    const metadata = {
      ...uncutVocabulary([], 0, 'default'),
      'tokenizer.ggml.model': 't5',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.scores': scores!,
      'tokenizer.ggml.token_type': types!,
      'tokenizer.ggml.unknown_token_id': 3,
    };
    await compare(write(metadata), texts.slice(0, 500), 'rewritten');
    await compare(write({ ...metadata, 'tokenizer.ggml.add_space_prefix': true }), texts.slice(500, 1000), 'rewritten');
  });
});

describe('a mask that swallows what is before it', () => {
  const texts = randomTexts(300, 'mask', ['<mask>', ' <mask>', 'a  <mask> b', '[MASK]', ' [MASK]', ' [MASK] c']);
  it.each([
    ['Jina’s code vocabulary', 'gpt2', '<mask>', { 'tokenizer.ggml.pre': 'jina-v2-code' }],
    ['Nomic’s mixture of experts', 't5', '<mask>', nomicMoe],
    ['ModernBERT', 'gpt2', '[MASK]', { 'general.name': 'Modern-BERT base' }],
  ] as const)('gives llama.cpp’s ids: %s', async (_, kind, mask, more) => {
    const made = randomTokenizer(512, kind);
    const tokens = made['tokenizer.ggml.tokens'] as readonly string[];
    const types = (made['tokenizer.ggml.token_type'] as Int32Array).slice();
    const at = tokens.length - 10;
    types[at] = 3;
    const withMask = { 'tokenizer.ggml.tokens': tokens.with(at, mask), 'tokenizer.ggml.token_type': types };
    const path = write({ ...VOCABULARY_ONLY, ...made, ...withMask, 'tokenizer.ggml.merges': [], ...more });
    const vocab = await readVocabulary(path);
    const llama = await openOracle(path, { vocabOnly: true });
    const theirs = texts.map((text) => llama.tokenize(text, { special: true }));
    await llama.close();
    const idsBy = (one: Vocabulary) => texts.map((text) => createTokenizer(one).tokenize(text, { special: true }));
    expect(idsBy(vocab)).toEqual(theirs);
    // Control: left in place, the space is seen.
    expect(idsBy({ ...vocab, trimsBefore: new Set() })).not.toEqual(theirs);
  });
});

describe('the testkit’s vocabularies', () => {
  it.each(['gpt2', 'llama', 'bert', 't5'] as const)('of %s are read alike by llama.cpp', async (kind) => {
    const back = kind === 'gpt2' || kind === 'llama' ? 'same' : 'rewritten';
    for (const nVocab of [MIN_VOCAB + 3, 512]) {
      const metadata = { ...VOCABULARY_ONLY, ...randomTokenizer(nVocab, kind) };
      await compare(write(metadata), randomTexts(200, kind, ['<|im_end|>', '[MASK]', '<s>']), back);
    }
  });
});

describe('byte-level BPE', () => {
  it('gives llama.cpp’s ids for arctic-tiny', () => compare(ARCTIC_TINY, randomTexts(1000, 1, ['<|im_end|>'])));

  it.each(['llama3', 'qwen3'])('gives llama.cpp’s ids for %s’s vocabulary', async (name) => {
    const { metadata, specials } = await realVocabularies[name]!();
    await compare(write(metadata), randomTexts(N_TEXTS, name, specials));
  });

  // Its merges were learned from texts that were not cut: every cut shows.
  const texts = randomTexts(N_TEXTS, 'families');
  const uncut = uncutVocabulary(texts.slice(0, 600), 1500, 'default');
  // llama.cpp compiles these families' regexes anew for each text, 1 to 4 ms each: most texts come in lines of 20.
  const SLOW = ['seed-coder', 'deepseek-coder', 'deepseek-v3', 'gpt-4o', 'tekken'];
  const inLines = [
    ...texts.slice(0, 250),
    ...Array.from({ length: (N_TEXTS - 250) / 20 }, (_, i) => texts.slice(250 + 20 * i, 270 + 20 * i).join('\n')),
  ];
  it.each(preTokenizerFamilies.map(([name]) => name!))('gives llama.cpp’s ids for the family of %s', (name) =>
    compare(write({ ...uncut, 'tokenizer.ggml.pre': name }), SLOW.includes(name) ? inLines : texts),
  );

  it('control: the families differ on these texts', async () => {
    const vocab = await readVocabulary(write(uncut));
    const results = preTokenizerFamilies.map(([pre]) => {
      const tokenizer = createTokenizer({ ...vocab, pre: pre! });
      return JSON.stringify(texts.slice(0, 300).map((text) => tokenizer.tokenize(text)));
    });
    // llama3 and dbrx cut alike; they differ in what a whole word may be, which has a test of its own.
    expect(new Set(results).size).toBe(results.length - 1);
  });
});
