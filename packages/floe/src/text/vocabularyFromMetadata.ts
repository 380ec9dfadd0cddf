import type { TextError } from '../errors/index.ts';
import { END_TEXTS, TokenType, type Vocabulary, vocabularyError } from './vocabulary.ts';
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
  'tekken',
];

/**
 * Reads and checks the `tokenizer.*` keys.
 *
 * @throws {TextError} `text/vocabulary`: a key is missing, of the wrong kind, or at odds with another.
 */
export function vocabularyFromMetadata(meta: MetadataReader): Vocabulary {
  const model = text(meta, 'tokenizer.ggml.model');
  if (model !== 'llama' && model !== 'gpt2') {
    throw vocabularyError(
      model === null
        ? 'The file names no tokenizer (tokenizer.ggml.model is missing).'
        : `The tokenizer is of model '${model}'; Floe reads 'llama' (SentencePiece) and 'gpt2' (byte-level BPE).`,
      { model },
    );
  }
  const pre = text(meta, 'tokenizer.ggml.pre') || null;
  const tokens = strings(meta, 'tokenizer.ggml.tokens');
  if (!tokens) throw vocabularyError('The file has no tokens (tokenizer.ggml.tokens is missing).', {});
  const scores = numbers(meta, 'tokenizer.ggml.scores');
  const types = numbers(meta, 'tokenizer.ggml.token_type');
  const merges = model === 'gpt2' ? strings(meta, 'tokenizer.ggml.merges') : [];
  if (!merges) throw vocabularyError('A gpt2 tokenizer needs tokenizer.ggml.merges; the file has none.', {});

  const spm = model === 'llama';
  // llama.cpp's defaults; one that lies outside the vocabulary counts as absent, one the file states is checked.
  const id = (key: string, byDefault: number | null) =>
    integer(meta, `tokenizer.ggml.${key}_token_id`) ??
    (byDefault !== null && byDefault < tokens.length ? byDefault : null);
  const vocab: Vocabulary = {
    model,
    pre,
    tokens,
    scores: scores && Float32Array.from(scores),
    types: types && Int32Array.from(types),
    merges,
    bosId: id('bos', spm ? 1 : 11),
    eosId: id('eos', spm ? 2 : 11),
    eotId: id('eot', null),
    eomId: id('eom', null),
    unkId: id('unknown', spm ? 0 : null),
    padId: id('padding', null),
    addBos: flag(meta, 'tokenizer.ggml.add_bos_token') ?? (spm || (pre !== null && PRE_WITH_BOS.includes(pre))),
    addEos: flag(meta, 'tokenizer.ggml.add_eos_token') ?? false,
    addSpacePrefix: spm && (flag(meta, 'tokenizer.ggml.add_space_prefix') ?? true),
    chatTemplate: text(meta, 'tokenizer.chat_template') || null,
  };
  checkVocabulary(vocab);
  return withControlEnds(vocab);
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

function numbers(meta: MetadataReader, key: string): Iterable<number> | null {
  const value = meta.get(key) ?? null;
  if (value === null) return null;
  if (value instanceof Float32Array || value instanceof Int32Array || value instanceof Uint32Array) return value;
  if (Array.isArray(value) && value.every((item): item is number => typeof item === 'number')) return value;
  throw wrongKind(key, value, 'an array of numbers');
}
