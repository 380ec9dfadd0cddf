import { RequestError } from '../errors/index.ts';
import { bpeTokenizer } from './bpe.ts';
import { fromByteLevel } from './byteLevel.ts';
import { StreamingDetokenizer, type TokenText } from './detokenizer.ts';
import { type Range, Specials } from './specials.ts';
import { SPACE_PIECE, spmTokenizer } from './spm.ts';
import { unigramTokenizer } from './unigram.ts';
import { type TokenizerModel, TokenType, textPieces, typeOf, type Vocabulary } from './vocabulary.ts';
import { wellFormed } from './wellFormed.ts';
import { wordPieceTokenizer } from './wordPiece.ts';

/** Text without special tokens to ids. */
type TextTokenizer = (text: string) => number[];

const textTokenizers: Readonly<
  Record<TokenizerModel, (vocab: Vocabulary, pieces: ReadonlyMap<string, number>) => TextTokenizer>
> = {
  llama: spmTokenizer,
  gpt2: bpeTokenizer,
  bert: wordPieceTokenizer,
  t5: unigramTokenizer,
};

/** A part of a rendered chat: written by the template, or by whoever wrote the message. */
export interface Segment {
  /** 'frame' may hold special tokens; 'content' is text, whatever it says. */
  readonly kind: 'frame' | 'content';
  readonly text: string;
}

/** Text to ids and back, with the ids llama.cpp gives. */
export interface Tokenizer extends TokenText {
  readonly vocabulary: Vocabulary;
  /**
   * @param options.special  True: text like `<|im_end|>` becomes its control token. Default false: it stays text.
   * @param options.addSpecial  True: the BOS and EOS (BERT's: CLS and SEP) the file wants around a text. Default false.
   */
  tokenize(text: string, options?: { readonly special?: boolean; readonly addSpecial?: boolean }): number[];
  /** One text in parts, as if in one go; control tokens are found in frames only. Adds no BOS: templates write it. */
  tokenizeSegments(segments: readonly Segment[]): number[];
  /** The text of `ids`; control tokens are dropped unless `special`. Bytes that are no UTF-8 become U+FFFD. */
  detokenize(ids: readonly number[], options?: { readonly special?: boolean }): string;
  /** The bytes a token stands for: half a character, perhaps. A control token's are its name. */
  tokenBytes(id: number): Uint8Array;
  /** Whether the token is for the model only and no part of an answer's text: control and unknown tokens. */
  isControl(id: number): boolean;
  /** The special tokens whose names stand in `text`, in order: what a message holding it could forge. */
  specialsIn(text: string): number[];
}

/**
 * Makes the tokenizer of a vocabulary. Costs some 50 ms for 32,000 tokens.
 *
 * @throws {TextError} `text/pre-tokenizer`: the vocabulary names one Floe lacks.
 */
export function createTokenizer(vocab: Vocabulary): Tokenizer {
  const tokenizeText = textTokenizers[vocab.model](vocab, textPieces(vocab));
  const specials = new Specials(vocab);
  const utf8 = new TextEncoder();

  const tokenizeRanges = (text: string, frames: readonly Range[]): number[] => {
    const ids: number[] = [];
    let afterSpecial = true; // The beginning counts as such.
    for (const fragment of specials.partition(text, frames)) {
      if (fragment.kind === 'token') ids.push(fragment.id);
      else {
        // Unigram's prefix is its normalizer's, which may take the text's own spaces off first.
        const prefix = afterSpecial && vocab.addSpacePrefix && vocab.model === 'llama' ? ' ' : '';
        for (const id of tokenizeText(prefix + fragment.text)) ids.push(id);
      }
      afterSpecial = fragment.kind === 'token';
    }
    return ids;
  };

  const tokenizer: Tokenizer = {
    vocabulary: vocab,
    tokenize: (text, { special = false, addSpecial = false } = {}) => {
      const whole = wellFormed(text);
      const ids = tokenizeRanges(whole, special ? [{ start: 0, end: whole.length }] : []);
      if (!addSpecial) return ids;
      const before = vocab.addBos ? vocab.bosId : null;
      const after = vocab.model === 'bert' ? vocab.sepId : vocab.addEos ? vocab.eosId : null;
      return [...(before === null ? [] : [before]), ...ids, ...(after === null ? [] : [after])];
    },
    tokenizeSegments: (segments) => {
      const frames: { start: number; end: number }[] = [];
      let text = '';
      for (const segment of segments) {
        const start = text.length;
        text += wellFormed(segment.text);
        if (segment.kind !== 'frame') continue;
        const last = frames.at(-1);
        // Neighbours are one frame: a marker may lie across their border.
        if (last?.end === start) last.end = text.length;
        else frames.push({ start, end: text.length });
      }
      return tokenizeRanges(text, frames);
    },
    detokenize: (ids, options) => {
      const stream = new StreamingDetokenizer(tokenizer, options);
      return ids.map((id) => stream.push(id)).join('') + stream.flush();
    },
    tokenBytes: (id) => {
      const token = vocab.tokens[id];
      if (token === undefined) {
        throw new RequestError(
          'request/invalid',
          `There is no token ${id}; ids go from 0 to ${vocab.tokens.length - 1}.`,
          {
            remedy: 'Pass ids that this model’s tokenizer gave.',
            details: { id, nVocab: vocab.tokens.length },
          },
        );
      }
      switch (typeOf(vocab, id)) {
        case TokenType.byte:
          return Uint8Array.of(Number.parseInt(token.slice(3, 5), 16));
        case TokenType.normal:
          return vocab.model === 'gpt2' ? fromByteLevel(token) : utf8.encode(token.replaceAll(SPACE_PIECE, ' '));
        case TokenType.control:
        case TokenType.unknown:
        case TokenType.userDefined:
          return utf8.encode(token);
        default: // Unused: stands for nothing.
          return new Uint8Array();
      }
    },
    isControl: (id) => {
      const type = typeOf(vocab, id);
      return type === TokenType.control || type === TokenType.unknown;
    },
    specialsIn: (text) => specials.idsIn(wellFormed(text)),
  };
  return tokenizer;
}
