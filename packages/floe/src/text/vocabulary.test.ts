import { describe, expect, it } from 'vitest';
import { TextError } from '../errors/index.ts';
import { preTokenizer } from './preTokenizer.ts';
import { ARCTIC_TINY, readVocabulary } from './testFiles.ts';
import { createTokenizer } from './tokenizer.ts';
import { endIds } from './vocabulary.ts';
import { vocabularyFromMetadata } from './vocabularyFromMetadata.ts';

const spm: Readonly<Record<string, unknown>> = {
  'tokenizer.ggml.model': 'llama',
  'tokenizer.ggml.tokens': ['<unk>', '<s>', '</s>', '<0x0A>', 'a'],
  'tokenizer.ggml.scores': new Float32Array(5),
  'tokenizer.ggml.token_type': new Int32Array([2, 3, 3, 6, 1]),
};
const bpe: Readonly<Record<string, unknown>> = {
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.pre': 'llama-bpe',
  'tokenizer.ggml.tokens': ['a', 'b', 'ab'],
  'tokenizer.ggml.merges': ['a b'],
};
const read = (base: object, changes: object) => {
  const entries = new Map<string, unknown>(Object.entries({ ...base, ...changes }));
  return vocabularyFromMetadata(entries);
};

describe('vocabularyFromMetadata', () => {
  it('fills in llama.cpp’s defaults for SentencePiece', () => {
    expect(read(spm, {})).toMatchObject({
      ...{ bosId: 1, eosId: 2, unkId: 0, padId: null, eotId: null, pre: null, chatTemplate: null },
      ...{ addBos: true, addEos: false, addSpacePrefix: true, merges: [] },
    });
  });

  it('fills in llama.cpp’s defaults for BPE: BOS by pre-tokenizer, ids that must lie inside', () => {
    expect(read(bpe, {})).toMatchObject({ bosId: null, eosId: null, addBos: true, addSpacePrefix: false });
    expect(read(bpe, { 'tokenizer.ggml.pre': 'gpt-2' }).addBos).toBe(false);
    const tokens = Array.from({ length: 12 }, (_, i) => `t${i}`);
    expect(read(bpe, { 'tokenizer.ggml.tokens': tokens, 'tokenizer.ggml.merges': [] }).bosId).toBe(11);
  });

  it('takes what the file states over any default, numbers in every form', () => {
    const changes = {
      'tokenizer.ggml.eos_token_id': 4n,
      'tokenizer.ggml.padding_token_id': 0,
      'tokenizer.ggml.add_bos_token': false,
      'tokenizer.ggml.add_space_prefix': false,
      'tokenizer.ggml.scores': [0, 0, 0, 0, -1],
    };
    expect(read(spm, changes)).toMatchObject({ eosId: 4, padId: 0, addBos: false, addSpacePrefix: false });
  });

  it.each([
    ['a model it can’t read', spm, { model: 'rwkv' }, /model 'rwkv'/],
    ['no model', spm, { model: undefined }, /model is missing/],
    ['no tokens', spm, { tokens: undefined }, /tokens is missing/],
    ['an empty vocabulary', spm, { tokens: [], scores: [], token_type: [] }, /empty/],
    ['tokens that are numbers', spm, { tokens: [1, 2] }, /array of strings/],
    ['fewer scores than tokens', spm, { scores: new Float32Array(4) }, /5 tokens.*scores has 4/],
    ['more types than tokens', spm, { token_type: new Int32Array(6) }, /5 tokens.*token_type has 6/],
    ['no scores', spm, { scores: undefined }, /no tokenizer.ggml.scores/],
    ['Unigram without scores', spm, { model: 't5', scores: undefined }, /t5 tokenizer.*no tokenizer.ggml.scores/],
    ['a map that is no bytes', spm, { model: 't5', precompiled_charsmap: 'x' }, /array of bytes/],
    ['a score that is NaN', spm, { scores: [0, 0, Number.NaN, 0, 0] }, /token 2 is NaN/],
    ['an id outside', spm, { eos_token_id: 5 }, /eosId is 5; the vocabulary has ids 0 to 4/],
    ['an id far outside', spm, { bos_token_id: 0xffffffff }, /bosId is 4294967295/],
    ['a byte token in lower case', spm, { tokens: ['<unk>', '<s>', '</s>', '<0x0a>', 'a'] }, /byte token.*<0x0a>/],
    ['a token twice', spm, { tokens: ['<unk>', '<s>', '</s>', '<0x0A>', '<s>'] }, /twice, as 1 and 4/],
    ['a token of 1025 bytes', spm, { tokens: ['<unk>', '<s>', '</s>', '<0x0A>', 'a'.repeat(1025)] }, /1025 bytes/],
    ['BPE without merges', bpe, { merges: undefined }, /needs tokenizer.ggml.merges/],
    ['a merge of an unknown piece', bpe, { merges: ['a c'] }, /Merge 0 is 'a c'/],
    ['a merge of one piece', bpe, { merges: ['ab'] }, /Merge 0 is 'ab'/],
    ['a flag that is a number', spm, { add_bos_token: 1 }, /add_bos_token should be a boolean/],
  ] as const)('refuses %s', (_, base, changes, message) => {
    const prefixed = Object.fromEntries(
      Object.entries(changes).map(([key, value]) => [`tokenizer.ggml.${key}`, value]),
    );
    const attempt = () => read(base, prefixed);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(TextError);
    expect(attempt).toThrow(expect.objectContaining({ code: 'text/vocabulary' }));
  });

  it('accepts what lies just inside: a token of 1024 bytes, the last id, a hole', () => {
    const tokens = ['', '<s>', '</s>', '<0x0A>', 'é'.repeat(512)];
    expect(read(spm, { 'tokenizer.ggml.tokens': tokens, 'tokenizer.ggml.eos_token_id': 4 }).eosId).toBe(4);
  });

  it('makes a known end a control token where the file forgot to', () => {
    const vocab = read(bpe, { 'tokenizer.ggml.tokens': ['a', 'b', '<|im_end|>'], 'tokenizer.ggml.merges': [] });
    expect(vocab.types?.[2]).toBe(3);
  });
});

describe('a compiled normalization', () => {
  const unigram = (charsmap: Uint8Array) => {
    const changes = { 'tokenizer.ggml.model': 't5', 'tokenizer.ggml.precompiled_charsmap': charsmap };
    return createTokenizer(read({ ...spm, 'tokenizer.ggml.unknown_token_id': 0 }, changes));
  };
  const u32 = (...values: number[]) => [...new Uint8Array(Uint32Array.from(values).buffer)];
  // A root whose children lie from node 1 on; 'b' (0x62) leads to node 1 ^ 0x62 = 0x63, whose value is at 0x63 ^ 2.
  const nodes = new Array<number>(0x64).fill(0);
  nodes[0] = 1 << 10;
  nodes[0x63] = 0x62 | (1 << 8) | (2 << 10);
  const map = (value: number) => {
    const all = [...nodes];
    all[0x61] = (value | 0x8000_0000) >>> 0;
    return Uint8Array.from([...u32(4 * all.length, ...all), 0x61, 0]);
  };

  it('replaces what it has', () => expect(unigram(map(0)).tokenize('b')).toEqual([4]));

  it.each([
    ['is too short for its size', () => Uint8Array.of(1, 2, 3)],
    ['has a size beyond its end', () => Uint8Array.from(u32(400, 0))],
    ['has a size that is no number of nodes', () => Uint8Array.from([...u32(2, 0), 0])],
    ['leads out of its nodes', () => Uint8Array.from([...u32(4, 0x3ff << 10), 0x61, 0])],
    ['names a replacement behind its end', () => map(2)],
    ['has a replacement without an end', () => map(0).subarray(0, -1)],
  ])('is refused where it %s', (_, make) => {
    const attempt = () => unigram(make()).tokenize('b');
    expect(attempt).toThrow(expect.objectContaining({ code: 'text/vocabulary' }));
  });
});

describe('endIds', () => {
  it('are the file’s ids and the known texts', async () => {
    expect([...endIds(await readVocabulary(ARCTIC_TINY))].sort()).toEqual([2045, 2047]);
    expect([...endIds(read(spm, { 'tokenizer.ggml.eot_token_id': 4 }))].sort()).toEqual([2, 4]);
  });

  it('leave out <|end|> where it ends a channel and not the answer', () => {
    const ends = (tokens: string[]) =>
      endIds(read(bpe, { 'tokenizer.ggml.tokens': tokens, 'tokenizer.ggml.merges': [] })).size;
    expect(ends(['<|end|>', '<|return|>', '<|call|>'])).toBe(2);
    expect(ends(['<|end|>', '<|return|>', 'x'])).toBe(2);
    expect(ends(['<|end|>', 'x', 'y'])).toBe(1);
  });
});

describe('preTokenizer', () => {
  it('refuses a name it lacks instead of guessing', () => {
    expect(() => preTokenizer('kimi-k2')).toThrow(expect.objectContaining({ code: 'text/pre-tokenizer' }));
    expect(preTokenizer('gpt-2').regexes).toHaveLength(1);
  });

  it('takes llama.cpp’s default for no name, which is not gpt-2', () => {
    expect(preTokenizer(null)).toEqual(preTokenizer('default'));
    expect(preTokenizer(null)).not.toEqual(preTokenizer('gpt-2'));
  });
});
