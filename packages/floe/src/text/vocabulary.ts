import { TextError } from '../errors/index.ts';

/** What a token is (`tokenizer.ggml.token_type`). */
export const TokenType = {
  undefined: 0,
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

/**
 * How text becomes pieces. 'llama': SentencePiece, merging by score. 'gpt2': byte-level BPE, merging by rank. 'bert':
 * WordPiece. 't5': SentencePiece's Unigram.
 */
export type TokenizerModel = 'llama' | 'gpt2' | 'bert' | 't5';

/** A model's vocabulary as its GGUF states it, with llama.cpp's defaults where the file is silent. */
export interface Vocabulary {
  readonly model: TokenizerModel;
  /** The pre-tokenizer's name; null where the file names none. */
  readonly pre: string | null;
  readonly tokens: readonly string[];
  readonly scores: Float32Array | null;
  /** A `TokenType` for each token; null: all are normal. */
  readonly types: Int32Array | null;
  /** 'left right', best first; empty but for 'gpt2'. */
  readonly merges: readonly string[];
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly eotId: number | null;
  readonly eomId: number | null;
  readonly unkId: number | null;
  /** Ends a text for 'bert'. */
  readonly sepId: number | null;
  readonly padId: number | null;
  readonly addBos: boolean;
  readonly addEos: boolean;
  /** 'llama' and 't5': a text, and what follows a special token, is tokenized as if a space stood before it. */
  readonly addSpacePrefix: boolean;
  /** 't5' only: spaces between words count as one, those around the text as none. */
  readonly removeExtraSpaces: boolean;
  /** 't5' only: SentencePiece's compiled normalization; null: text stays as it is. */
  readonly charsmap: Uint8Array | null;
  /** 'bert' only: text is put in lower case; marks are taken off its letters. */
  readonly lowercase: boolean;
  readonly stripAccents: boolean;
  /** Special tokens that swallow the white space behind them, which files don't tell (Phi-3). */
  readonly trimsAfter: ReadonlySet<number>;
  /** The same of the white space before them (`<mask>` of encoders). */
  readonly trimsBefore: ReadonlySet<number>;
  readonly chatTemplate: string | null;
}

/** Texts that end an answer whatever the file's ids say; llama.cpp makes them control tokens too. */
export const END_TEXTS: ReadonlySet<string> = new Set([
  '<|eot_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '<|eom_id|>',
  '<|end_of_text|>',
  '<EOT>',
  '<eos>',
  '<end_of_utterance>',
  '<｜end▁of▁sentence｜>',
]);

/**
 * The ids that end an answer: EOS, EOT, EOM, and every token whose text is known to. For gpt-oss `<|end|>` ends a
 * channel, not the answer: where `<|return|>` and `<|call|>` are both known it is not among them.
 */
export function endIds(vocab: Vocabulary): ReadonlySet<number> {
  const ids = new Set<number>();
  const texts = new Map<string, number>();
  for (const [id, token] of vocab.tokens.entries()) if (END_TEXTS.has(token)) texts.set(token, id);
  for (const [, id] of texts) ids.add(id);
  for (const id of [vocab.eosId, vocab.eotId, vocab.eomId]) if (id !== null) ids.add(id);
  const end = texts.get('<|end|>');
  if (end !== undefined && texts.has('<|return|>') && texts.has('<|call|>')) ids.delete(end);
  return ids;
}

/** The type of a token; normal where the file lists none. */
export function typeOf(vocab: Vocabulary, id: number): number {
  return vocab.types?.[id] ?? TokenType.normal;
}

/** A `text/vocabulary` error; its remedy is the same for all. */
export function vocabularyError(
  message: string,
  details: Readonly<Record<string, string | number | boolean | null>>,
): TextError {
  return new TextError('text/vocabulary', message, {
    remedy: 'The file was converted wrongly or holds a tokenizer Floe does not know. Take another conversion of it.',
    details,
  });
}

/** The two sides of a merge line, cut at the first space that has something before it. */
export function splitMerge(merge: string): readonly [left: string, right: string] {
  const cut = merge.indexOf(' ', 1);
  return cut < 0 ? ['', ''] : [merge.slice(0, cut), merge.slice(cut + 1)];
}

/**
 * The pieces that text may become, with their ids. Control and unknown tokens are not among them: else SentencePiece
 * would merge a typed `<s>` into BOS (llama.cpp does), and a message could hold what only a template may write.
 */
export function textPieces(vocab: Vocabulary): ReadonlyMap<string, number> {
  const pieces = new Map<string, number>();
  for (const [id, token] of vocab.tokens.entries()) {
    const type = typeOf(vocab, id);
    if (token !== '' && type !== TokenType.control && type !== TokenType.unknown) pieces.set(token, id);
  }
  return pieces;
}
