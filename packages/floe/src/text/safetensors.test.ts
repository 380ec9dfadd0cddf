/** Tokenizers from a hub's files give the ids that they give from a GGUF. */
import type { MetadataInput } from '@floe/testkit/ggufWriter';
import { hubTokenizer } from '@floe/testkit/hubTokenizer';
import { randomTexts } from '@floe/testkit/randomTexts';
import { randomTokenizer } from '@floe/testkit/randomTokenizer';
import { qwen3Bytes, realVocabularies } from '@floe/testkit/realVocabularies';
import { describe, expect, it } from 'vitest';
import { parseObject } from '../safetensors/json.ts';
import { scoresOfMerges } from '../safetensors/mergeScores.ts';
import { preTokenizerName } from '../safetensors/preTokenizers.ts';
import { tokenizerEntries } from '../safetensors/tokenizer.ts';
import { hasVectors, readVectors, readVocabulary, vectorFile } from './testFiles.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';
import type { Vocabulary } from './vocabulary.ts';
import { vocabularyFromMetadata } from './vocabularyFromMetadata.ts';

type Metadata = Readonly<Record<string, MetadataInput>>;
const N_TEXTS = 200;

function ofGguf(metadata: Metadata): Tokenizer {
  return createTokenizer(vocabularyFromMetadata(new Map(Object.entries(metadata))));
}

function ofFiles(files: ReadonlyMap<string, Uint8Array>, nVocab: number): Tokenizer {
  const entries = tokenizerEntries(
    {
      tokenizerJson: files.get('tokenizer.json') ?? null,
      sentencePiece: files.get('tokenizer.model') ?? null,
      settings: files.has('tokenizer_config.json')
        ? parseObject('tokenizer_config.json', files.get('tokenizer_config.json')!)
        : null,
      chatTemplate: null,
    },
    parseObject('config.json', new TextEncoder().encode('{}')),
    nVocab,
  );
  const values = Object.entries(entries).flatMap(([key, entry]) => (entry ? [[key, entry.value] as const] : []));
  return createTokenizer(vocabularyFromMetadata(new Map<string, unknown>(values)));
}

function expectSame(found: Tokenizer, expected: Tokenizer, texts: readonly string[]): void {
  expect(found.vocabulary.tokens.length).toBe(expected.vocabulary.tokens.length);
  for (const text of texts) {
    for (const special of [false, true]) {
      const ids = found.tokenize(text, { special, addSpecial: true });
      const wanted = expected.tokenize(text, { special, addSpecial: true });
      // `expect` once a text would take longer than all else.
      if (ids.join() !== wanted.join()) expect(ids, JSON.stringify(text)).toEqual(wanted);
    }
  }
}

/** llama.cpp's file of Llama 2's vocabulary, as metadata. */
function metadataOf(vocabulary: Vocabulary): Metadata {
  return {
    'tokenizer.ggml.model': vocabulary.model,
    'tokenizer.ggml.tokens': vocabulary.tokens,
    'tokenizer.ggml.token_type': vocabulary.types!,
    'tokenizer.ggml.scores': vocabulary.scores!,
    'tokenizer.ggml.bos_token_id': vocabulary.bosId!,
    'tokenizer.ggml.eos_token_id': vocabulary.eosId!,
  };
}

describe.each(['tokenizer.json', 'tokenizer.model'] as const)('SentencePiece from %s', (file) => {
  it('a small vocabulary of random pieces', () => {
    const metadata = randomTokenizer(600, 'llama');
    const texts = randomTexts(N_TEXTS, 'small', ['<s>', '<|im_end|>', '<0x0A>']);
    expectSame(ofFiles(new Map(hubTokenizer(metadata, file)), 600), ofGguf(metadata), texts);
  });

  it('Mistral’s', async () => {
    const { metadata, specials } = await realVocabularies.mistral!();
    const texts = randomTexts(N_TEXTS, 'mistral', specials);
    expectSame(ofFiles(new Map(hubTokenizer(metadata, file)), 32_000), ofGguf(metadata), texts);
  });

  it.skipIf(!hasVectors)('Llama 2’s: each of llama.cpp’s vectors', async () => {
    const metadata = metadataOf(await readVocabulary(vectorFile('llama-spm')));
    const tokenizer = ofFiles(new Map(hubTokenizer(metadata, file)), 32_000);
    for (const { text, ids } of readVectors('llama-spm')) expect(tokenizer.tokenize(text), text).toEqual(ids);
  });
});

it('tokens that a model puts in the places of others, as Arctic does with two Han characters, are those of its settings', () => {
  const files = new Map(hubTokenizer(randomTokenizer(600, 'llama'), 'tokenizer.model'));
  const before = ofFiles(files, 600).vocabulary.tokens;
  const settings = {
    added_tokens_decoder: { 598: { content: '<|im_start|>2', special: true }, 600: { content: '<x>' } },
  };
  files.set('tokenizer_config.json', new TextEncoder().encode(JSON.stringify(settings)));
  const { vocabulary, tokenize } = ofFiles(files, 601);
  expect(vocabulary.tokens).toEqual([...before.slice(0, 598), '<|im_start|>2', before[599], '<x>']);
  expect(tokenize('<|im_start|>2', { special: true })).toEqual([598]);
  expect(tokenize('<|im_start|>2')).not.toContain(598);
  expect(tokenize('<x>')).toEqual([600]);
});

describe('byte-level BPE from tokenizer.json', () => {
  it('a small vocabulary of random pieces', () => {
    const metadata = randomTokenizer(600);
    const texts = randomTexts(N_TEXTS, 'bytes', ['<|im_end|>']);
    expectSame(ofFiles(new Map(hubTokenizer(metadata, 'tokenizer.json')), 600), ofGguf(metadata), texts);
  });

  it('begins with BOS where the template of a text says so, and the settings do not say otherwise', () => {
    const metadata = { ...randomTokenizer(300), 'tokenizer.ggml.add_bos_token': undefined as never };
    const files = new Map(hubTokenizer(metadata, 'tokenizer.json'));
    const tokenizer = JSON.parse(new TextDecoder().decode(files.get('tokenizer.json'))) as object;
    const template = {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<|endoftext|>' } }, { Sequence: {} }],
    };
    const processor = { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template] };
    const of = (own: object) => {
      const bytes = new TextEncoder().encode(JSON.stringify({ ...tokenizer, ...own }));
      return ofFiles(new Map([...files, ['tokenizer.json', bytes]]), 300).vocabulary;
    };
    expect(of({}).addBos).toBe(false);
    expect(of({ post_processor: processor })).toMatchObject({ addBos: true, addEos: false, bosId: 297 });
  });

  it('Llama 3’s', async () => {
    const { metadata, specials } = await realVocabularies.llama3!();
    const files = new Map(hubTokenizer(metadata, 'tokenizer.json'));
    const nVocab = (metadata['tokenizer.ggml.tokens'] as readonly string[]).length;
    expectSame(ofFiles(files, nVocab), ofGguf(metadata), randomTexts(50, 'llama3', specials));
  });

  it('Qwen 3’s own file, with more rows in the embedding than tokens', async () => {
    const { metadata, specials } = await realVocabularies.qwen3!();
    const files = new Map(['tokenizer.json', 'tokenizer_config.json'].map((name) => [name, qwen3Bytes(name)]));
    const nTokens = (metadata['tokenizer.ggml.tokens'] as readonly string[]).length;
    const found = ofFiles(files, nTokens + 3);
    expect(found.vocabulary.tokens.slice(nTokens)).toEqual([0, 1, 2].map((i) => `[PAD${nTokens + i}]`));
    expect(found.vocabulary.chatTemplate).toContain('<|im_start|>');
    expect(found.vocabulary.tokens[found.vocabulary.eosId!]).toBe('<|im_end|>');
    const expected = ofGguf(metadata);
    for (const text of randomTexts(50, 'qwen3', specials)) {
      const [ids, wanted] = [found, expected].map((each) => each.tokenize(text, { special: true }));
      if (ids!.join() !== wanted!.join()) expect(ids, JSON.stringify(text)).toEqual(wanted);
    }
  });
});

describe('is refused with a typed error', () => {
  const json = (value: unknown) => new Map([['tokenizer.json', new TextEncoder().encode(JSON.stringify(value))]]);
  const bpe = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] };
  const level = { type: 'ByteLevel' };
  it.each<[string, object, string]>([
    ['Unigram', { model: { type: 'Unigram', vocab: [] } }, 'text/vocabulary'],
    ['two tokens of one id', { model: { ...bpe, vocab: { a: 0, b: 0 } }, pre_tokenizer: level }, 'text/vocabulary'],
    ['a merge of three', { model: { ...bpe, merges: ['a b c'] }, pre_tokenizer: level }, 'text/vocabulary'],
    [
      'a normalizer that rewrites text',
      { model: bpe, pre_tokenizer: level, normalizer: { type: 'Lowercase' } },
      'text/vocabulary',
    ],
    [
      'a cut by a regex that GGUF has no name for',
      { model: bpe, pre_tokenizer: { type: 'Split', pattern: { Regex: '\\w+' } } },
      'text/pre-tokenizer',
    ],
    ['no cut at all', { model: bpe }, 'text/pre-tokenizer'],
    [
      'more tokens than rows',
      { model: { ...bpe, vocab: { ...bpe.vocab, c: 9 } }, pre_tokenizer: level },
      'text/vocabulary',
    ],
    [
      'an added token far away',
      { model: bpe, pre_tokenizer: level, added_tokens: [{ id: 2 ** 30, content: 'x' }] },
      'text/vocabulary',
    ],
    ['an id that is no number', { model: { ...bpe, vocab: { a: 'x' } }, pre_tokenizer: level }, 'safetensors/invalid'],
    ['no merges', { model: { type: 'BPE', vocab: {} }, pre_tokenizer: level }, 'safetensors/invalid'],
  ])('%s', (_, value, code) => {
    expect(() => ofFiles(json(value), 5)).toThrow(expect.objectContaining({ code }));
  });
  it('control: without any of these it is read', () => {
    expect(ofFiles(json({ model: bpe, pre_tokenizer: level }), 5).tokenize('ab')).toEqual([2]);
  });

  it('a tokenizer.model that is cut, or Unigram', () => {
    const [[, bytes]] = hubTokenizer(randomTokenizer(300, 'llama'), 'tokenizer.model') as [[string, Uint8Array]];
    const of = (file: Uint8Array) => ofFiles(new Map([['tokenizer.model', file]]), 300);
    expect(of(bytes).vocabulary.tokens).toHaveLength(300);
    const unigram = bytes.slice();
    unigram[unigram.lastIndexOf(0x18, unigram.length - 3) + 1] = 1;
    for (const broken of [bytes.subarray(0, 100), bytes.subarray(0, 0), unigram]) {
      expect(() => of(broken)).toThrow(expect.objectContaining({ code: 'text/vocabulary' }));
    }
  });

  it('merges that follow from no scores, or are not all there', () => {
    const isPiece = (text: string) => ['a', 'b', 'ab', 'aab', 'aa'].includes(text);
    const all: [string, string][] = [
      ['a', 'a'],
      ['a', 'b'],
      ['a', 'ab'],
      ['aa', 'b'],
    ];
    expect([...scoresOfMerges(all, isPiece)]).toEqual([
      ['aa', -0],
      ['ab', -1],
      ['aab', -2],
    ]);
    expect(() => scoresOfMerges([all[2]!, all[0]!, all[1]!, all[3]!], isPiece)).toThrow(/again/);
    expect(() => scoresOfMerges(all.slice(0, 3), isPiece)).toThrow(/no merge of 'aa' and 'b'/);
  });

  it('control: names of pre-tokenizers differ by what whole words do', () => {
    const [[, bytes]] = hubTokenizer(
      { ...randomTokenizer(300), 'tokenizer.ggml.pre': 'llama-bpe' },
      'tokenizer.json',
    ) as [[string, Uint8Array]];
    const { pre_tokenizer: cut } = JSON.parse(new TextDecoder().decode(bytes)) as { pre_tokenizer: never };
    expect([true, false].map((ignoreMerges) => preTokenizerName(cut, ignoreMerges))).toEqual(['llama-bpe', 'dbrx']);
  });
});
