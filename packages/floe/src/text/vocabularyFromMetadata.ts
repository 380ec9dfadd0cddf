import type { TextError } from '../errors/index.ts';
import { END_TEXTS, type TokenizerModel, TokenType, type Vocabulary, vocabularyError } from './vocabulary.ts';
import { checkVocabulary } from './vocabularyCheck.ts';

/** A GGUF's metadata: a number, bigint, boolean, string, or array of these (typed or plain) by key. */
export interface MetadataReader {
  get(key: string): unknown;
}

/** Pre-tokenizers whose models begin every text with BOS unless the file says otherwise, as in llama.cpp. */
const PRE_WITH_BOS = [
  'llama3',
  'llama-v3',
  'llama-bpe',
  'falcon3',
  'falcon-h1',
  'pixtral',
  'midm-2.0',
  'lfm2',
  'jina-v5-nano',
  'tekken',
];

/** What llama.cpp takes where a file says nothing: ids (one that lies outside the vocabulary counts as none), flags. */
const DEFAULTS: Readonly<Record<TokenizerModel, Defaults>> = {
  llama: { bos: 1, eos: 2, unk: 0, sep: null, pad: null, addBos: true, addEos: false, addSpacePrefix: true },
  gpt2: { bos: 11, eos: 11, unk: null, sep: null, pad: null, addBos: false, addEos: false, addSpacePrefix: false },
  bert: { bos: 101, eos: null, unk: 100, sep: 102, pad: 0, addBos: true, addEos: false, addSpacePrefix: false },
  t5: { bos: null, eos: 1, unk: 2, sep: null, pad: 0, addBos: false, addEos: true, addSpacePrefix: false },
};

interface Defaults {
  readonly bos: number | null;
  readonly eos: number | null;
  readonly unk: number | null;
  readonly sep: number | null;
  readonly pad: number | null;
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly addSpacePrefix: boolean;
}

/**
 * Reads and checks the `tokenizer.*` keys.
 *
 * @throws {TextError} `text/vocabulary`: a key is missing, of the wrong kind, or at odds with another.
 */
export function vocabularyFromMetadata(meta: MetadataReader): Vocabulary {
  const model = modelOf(meta);
  const pre = text(meta, 'tokenizer.ggml.pre') || null;
  const tokens = strings(meta, 'tokenizer.ggml.tokens');
  if (!tokens) throw vocabularyError('The file has no tokens (tokenizer.ggml.tokens is missing).', {});
  const scores = numbers(meta, 'tokenizer.ggml.scores');
  const types = numbers(meta, 'tokenizer.ggml.token_type');
  const merges = model === 'gpt2' ? strings(meta, 'tokenizer.ggml.merges') : [];
  if (!merges) throw vocabularyError('A gpt2 tokenizer needs tokenizer.ggml.merges; the file has none.', {});

  const byDefault = DEFAULTS[model];
  // A default that lies outside the vocabulary counts as absent; what the file states is checked.
  const id = (key: string, other: number | null = null) =>
    integer(meta, `tokenizer.ggml.${key}_token_id`) ?? (other !== null && other < tokens.length ? other : null);
  const isFlagged = (key: string, other: boolean) => flag(meta, `tokenizer.ggml.${key}`) ?? other;
  const lowercase = isFlagged('normalizer.lowercase', true);
  const vocab: Vocabulary = {
    model,
    pre,
    tokens,
    scores: scores && Float32Array.from(scores),
    types: types && Int32Array.from(types),
    merges,
    bosId: id('bos', byDefault.bos),
    eosId: id('eos', byDefault.eos),
    eotId: id('eot'),
    eomId: id('eom'),
    unkId: id('unknown', byDefault.unk),
    // Misspelt in the format.
    sepId: id('seperator', byDefault.sep),
    padId: id('padding', byDefault.pad),
    addBos: isFlagged('add_bos_token', byDefault.addBos || (pre !== null && PRE_WITH_BOS.includes(pre))),
    addEos: isFlagged('add_eos_token', byDefault.addEos),
    addSpacePrefix: (model === 'llama' || model === 't5') && isFlagged('add_space_prefix', byDefault.addSpacePrefix),
    removeExtraSpaces: isFlagged('remove_extra_whitespaces', false),
    charsmap: model === 't5' ? bytes(meta, 'tokenizer.ggml.precompiled_charsmap') : null,
    lowercase,
    stripAccents: isFlagged('normalizer.strip_accents', lowercase),
    trimsAfter: new Set(),
    trimsBefore: new Set(),
    chatTemplate: text(meta, 'tokenizer.chat_template') || null,
  };
  checkVocabulary(vocab);
  const withEnds = withControlEnds(vocab);
  return { ...withEnds, ...trimsOf(meta, withEnds) };
}

function modelOf(meta: MetadataReader): TokenizerModel {
  const model = text(meta, 'tokenizer.ggml.model');
  const known = (Object.keys(DEFAULTS) as TokenizerModel[]).find((name) => name === model);
  if (known) return known;
  throw vocabularyError(
    model === null
      ? 'The file names no tokenizer (tokenizer.ggml.model is missing).'
      : `The tokenizer is of model '${model}'; Floe reads 'llama' (SentencePiece), 'gpt2' (byte-level BPE), 'bert' ` +
          "(WordPiece) and 't5' (Unigram).",
    { model },
  );
}

/** A GGUF has no place for what a special token trims: like llama.cpp, by what the model is. */
function trimsOf(meta: MetadataReader, vocab: Vocabulary): Partial<Vocabulary> {
  const name = text(meta, 'general.name') ?? '';
  const architecture = text(meta, 'general.architecture') ?? '';
  const before = (token: string) => ({ trimsBefore: new Set([vocab.tokens.indexOf(token)].filter((id) => id >= 0)) });
  if (/jina-v2-(de|es|code)/.test(vocab.pre ?? '') || /nomic-bert-moe|jina-bert-v3/.test(architecture))
    return before('<mask>');
  if (/phi-?3/i.test(name)) return { trimsAfter: trimsAfterOfPhi3(vocab) };
  if (/modern-bert/i.test(name)) return before('[MASK]');
  return {};
}

/** All special tokens but three, and `</s>`. */
function trimsAfterOfPhi3({ tokens, types }: Vocabulary): ReadonlySet<number> {
  const special: readonly number[] = [TokenType.control, TokenType.userDefined, TokenType.unknown];
  const ids = new Set<number>();
  for (const [id, token] of tokens.entries()) {
    if (['<unk>', '<s>', '<|endoftext|>'].includes(token)) continue;
    if (token === '</s>' || special.includes(types?.[id] ?? TokenType.normal)) ids.add(id);
  }
  return ids;
}

// A file that forgot to mark <|im_end|> as control would let a user type it.
function withControlEnds(vocab: Vocabulary): Vocabulary {
  const types = vocab.types ? vocab.types.slice() : new Int32Array(vocab.tokens.length).fill(TokenType.normal);
  for (const [id, token] of vocab.tokens.entries()) if (END_TEXTS.has(token)) types[id] = TokenType.control;
  return Object.freeze({ ...vocab, types });
}

function wrongKind(key: string, value: unknown, wanted: string): TextError {
  const kind = Array.isArray(value) ? 'array' : typeof value;
  return vocabularyError(`${key} should be ${wanted}; the file holds a value of kind ${kind}.`, { key });
}

function text(meta: MetadataReader, key: string): string | null {
  const value = meta.get(key) ?? null;
  if (value === null || typeof value === 'string') return value;
  throw wrongKind(key, value, 'a string');
}

function flag(meta: MetadataReader, key: string): boolean | null {
  const value = meta.get(key) ?? null;
  if (value === null || typeof value === 'boolean') return value;
  throw wrongKind(key, value, 'a boolean');
}

function integer(meta: MetadataReader, key: string): number | null {
  const value = meta.get(key) ?? null;
  if (value === null) return null;
  if (typeof value !== 'number' && typeof value !== 'bigint') throw wrongKind(key, value, 'an integer');
  return Number(value);
}

function strings(meta: MetadataReader, key: string): readonly string[] | null {
  const value = meta.get(key) ?? null;
  if (value === null) return null;
  if (Array.isArray(value) && value.every((item): item is string => typeof item === 'string')) return value;
  throw wrongKind(key, value, 'an array of strings');
}

function bytes(meta: MetadataReader, key: string): Uint8Array | null {
  const value = meta.get(key) ?? null;
  if (value === null || value instanceof Uint8Array) return value;
  if (value instanceof Int8Array) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  throw wrongKind(key, value, 'an array of bytes');
}

function numbers(meta: MetadataReader, key: string): Iterable<number> | null {
  const value = meta.get(key) ?? null;
  if (value === null) return null;
  if (value instanceof Float32Array || value instanceof Int32Array || value instanceof Uint32Array) return value;
  if (Array.isArray(value) && value.every((item): item is number => typeof item === 'number')) return value;
  throw wrongKind(key, value, 'an array of numbers');
}
