import { NONE, PieceTrie, ROOT } from './pieceTrie.ts';
import { TokenType, typeOf, type Vocabulary } from './vocabulary.ts';

/** What C's `isspace` takes for white space. */
const SPACES = /^[ \t-\r]*/;
const isSpace = (text: string, at: number) => SPACES.exec(text.charAt(at))![0] !== '';

/** A stretch of text, or a special token that stood there. */
export type Fragment =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'token'; readonly id: number };

/** Where in the text special tokens may be found: a half-open range of UTF-16 units. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

interface Special {
  readonly id: number;
  readonly text: string;
  /** Added to the vocabulary as plain text (`TokenType.userDefined`): a user may type it. */
  readonly userDefined: boolean;
  /** The white space on that side of it belongs to it. */
  readonly trimsAfter: boolean;
  readonly trimsBefore: boolean;
}

/** Finds special tokens in text, in llama.cpp's order: the longest first, wherever it stands. */
export class Specials {
  readonly #specials: readonly Special[];
  /** Of their texts; an id is a place in the list. Gemma has thousands of them: too many to look for one by one. */
  readonly #trie: PieceTrie;

  constructor(vocab: Vocabulary) {
    const utf8 = new TextEncoder();
    const specials: (Special & { bytes: number })[] = [];
    for (const [id, text] of vocab.tokens.entries()) {
      const type = typeOf(vocab, id);
      const userDefined = type === TokenType.userDefined;
      if (text !== '' && (userDefined || type === TokenType.control || type === TokenType.unknown)) {
        const trims = { trimsAfter: vocab.trimsAfter.has(id), trimsBefore: vocab.trimsBefore.has(id) };
        specials.push({ id, text, userDefined, ...trims, bytes: utf8.encode(text).length });
      }
    }
    this.#specials = specials.sort((a, b) => b.bytes - a.bytes || a.id - b.id);
    this.#trie = new PieceTrie(this.#specials.map(({ text }, index) => [text, index]));
  }

  /**
   * Cuts `text` at its special tokens. A control token counts only inside one of `frames`; a user-defined one
   * everywhere, unless a frame uses it too or it looks like a marker: then a message must not write it.
   */
  partition(text: string, frames: readonly Range[]): Fragment[] {
    const inFrame = (start: number, end: number) => frames.some((frame) => frame.start <= start && end <= frame.end);
    let pieces: Piece[] = [{ start: 0, end: text.length }];
    for (const [{ id, text: special, userDefined, trimsAfter, trimsBefore }, found] of this.#occurrences(text)) {
      const framed = found.filter((at) => inFrame(at, at + special.length));
      const reserved = framed.length > 0 || (frames.length > 0 && looksLikeMarker(special));
      const matches = userDefined && !reserved ? found : framed;
      const place = (start: number): Range => {
        let [from, to] = [start, start + special.length];
        while (trimsAfter && isSpace(text, to)) to++;
        while (trimsBefore && from > 0 && isSpace(text, from - 1)) from--;
        return { start: from, end: to };
      };
      if (matches.length > 0) pieces = cutAt(pieces, id, special.length, matches, place);
    }
    return pieces
      .filter((piece) => 'id' in piece || piece.start < piece.end)
      .map((piece) =>
        'id' in piece ? { kind: 'token', id: piece.id } : { kind: 'text', text: text.slice(piece.start, piece.end) },
      );
  }

  /** The special tokens, of either kind, whose texts stand in `text`, in order. */
  idsIn(text: string): number[] {
    const fragments = this.partition(text, [{ start: 0, end: text.length }]);
    return fragments.flatMap((fragment) => (fragment.kind === 'token' ? [fragment.id] : []));
  }

  /** Those that stand in `text`, the longest first, each with every place, overlapping ones too. */
  #occurrences(text: string): (readonly [Special, readonly number[]])[] {
    const places = new Map<number, number[]>();
    for (let start = 0; start < text.length; start++) {
      for (let at = start, node = ROOT; at < text.length; ) {
        node = this.#trie.step(node, text.charCodeAt(at++));
        if (node === NONE) break;
        const index = this.#trie.idAt(node);
        if (index === NONE) continue;
        const known = places.get(index);
        if (known) known.push(start);
        else places.set(index, [start]);
      }
    }
    return [...places].sort(([a], [b]) => a - b).map(([index, at]) => [this.#specials[index]!, at] as const);
  }
}

/** Some files mark their `<|user|>` as user-defined, though it is a control token in all but name. */
export function looksLikeMarker(text: string): boolean {
  return /^<\|.*\|>$/s.test(text);
}

type Piece = Range | { readonly id: number };

/**
 * The pieces with token `id` cut out at each of `matches` that lies within one; `place` says what goes with it.
 * Both lists are in text order.
 */
function cutAt(
  pieces: readonly Piece[],
  id: number,
  length: number,
  matches: readonly number[],
  place: (start: number) => Range,
): Piece[] {
  const out: Piece[] = [];
  let m = 0;
  for (const piece of pieces) {
    if ('id' in piece) {
      out.push(piece);
      continue;
    }
    let { start } = piece;
    for (; m < matches.length && matches[m]! + length <= piece.end; m++) {
      const at = matches[m]!;
      if (at < start) continue; // It overlaps the one before, or belongs to an earlier, longer token.
      const taken = place(at);
      out.push({ start, end: Math.max(start, taken.start) }, { id });
      start = Math.min(taken.end, piece.end);
    }
    out.push({ start, end: piece.end });
  }
  return out;
}
