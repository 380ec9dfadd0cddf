/** A vocabulary read from a hub's files, in GGUF's terms. */
import { TextError } from '../errors/index.ts';
import type { JsonReader } from './json.ts';

/** `tokenizer.ggml.token_type`. */
export const TokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface Vocabulary {
  /** 'llama': SentencePiece's BPE, by scores. 'gpt2': byte-level BPE, by merges. */
  readonly model: 'llama' | 'gpt2';
  readonly pieces: Piece[];
  /** 'gpt2' only: the pre-tokenizer's name in GGUF, and 'left right' best first. */
  readonly pre: string | null;
  readonly merges: readonly string[];
  /** Null: the files don't tell. */
  readonly addBos: boolean | null;
  readonly addEos: boolean | null;
  readonly addSpacePrefix: boolean | null;
}

/** A token; the list has holes where no file names an id. */
export type Piece = { readonly text: string; readonly type: number; readonly score: number } | undefined;

/** A token that was added to a vocabulary, or stands in another's place. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

export function addedToken(entry: JsonReader, id: number): AddedToken {
  return { id, content: entry.string('content'), special: entry.optionalBool('special') ?? false };
}

/** Puts added tokens in their places. A text that was there by the same id keeps its type unless it is special now. */
export function addTokens(pieces: Piece[], added: readonly AddedToken[], unknown: string | null): void {
  for (const { id, content, special } of added) {
    if (!Number.isInteger(id) || id < 0 || id > MAX_ID) {
      throw vocabularyError(`'${content}' has the id ${id}; 0 to ${MAX_ID} are possible.`, { id });
    }
    const before = pieces[id];
    if (before?.text === content && before.type !== TokenType.normal) continue;
    const type = content === unknown ? TokenType.unknown : special ? TokenType.control : TokenType.userDefined;
    // As llama.cpp's converter: never the best of two pieces.
    pieces[id] = { text: content, type, score: before?.text === content ? before.score : -10_000 };
  }
}

/** No vocabulary comes near; a list as long as a stranger's number would take all memory. */
export const MAX_ID = 2 ** 22;

export function vocabularyError(message: string, details: Readonly<Record<string, string | number>>): TextError {
  return new TextError('text/vocabulary', message, {
    remedy: 'The tokenizer is damaged, or of a kind Floe does not read from these files. Take the model as a GGUF.',
    details,
  });
}
