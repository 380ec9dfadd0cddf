import type { Vocabulary } from './vocabulary.ts';

const SPACE = 0x20;

/** What it needs of a `Tokenizer`. */
export interface TokenText {
  readonly vocabulary: Pick<Vocabulary, 'addSpacePrefix' | 'model'>;
  tokenBytes(id: number): Uint8Array;
  isControl(id: number): boolean;
}

export interface StreamingDetokenizerOptions {
  /** True: control tokens are written with their names. Default false: they are dropped. */
  readonly special?: boolean;
  /**
   * True: the ids go on with a text, so a space at their beginning belongs to it. Default false: they are a whole
   * text, and the space that SentencePiece put before it is taken off.
   */
  readonly continues?: boolean;
}

/**
 * Ids to text, one at a time. What `push` returns is final and never ends in the middle of a character; all that was
 * returned, with `flush`, is what `detokenize` gives for all ids at once.
 */
export class StreamingDetokenizer {
  readonly #tokenizer: TokenText;
  readonly #special: boolean;
  // U+FEFF at the beginning is text, not a byte order mark. Bytes that are no UTF-8 become U+FFFD.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #dropSpace: boolean;

  constructor(tokenizer: TokenText, { special = false, continues = false }: StreamingDetokenizerOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#special = special;
    const { addSpacePrefix, model } = tokenizer.vocabulary;
    // WordPiece writes a space before every word, the first one too.
    this.#dropSpace = (addSpacePrefix || model === 'bert') && !continues;
  }

  /** The text that is certain now: empty while a character's other bytes are to come. */
  push(id: number): string {
    if (!this.#special && this.#tokenizer.isControl(id)) return '';
    const bytes = this.#tokenizer.tokenBytes(id);
    if (bytes.length === 0) return '';
    const from = this.#dropSpace && bytes[0] === SPACE ? 1 : 0;
    this.#dropSpace = false;
    return this.#decoder.decode(bytes.subarray(from), { stream: true });
  }

  /** What is left at the end: U+FFFD for a character that was never finished. Then a new text may begin. */
  flush(): string {
    return this.#decoder.decode();
  }
}
