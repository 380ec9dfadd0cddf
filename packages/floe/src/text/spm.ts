import { mergePairs } from './mergePairs.ts';
import { type Vocabulary, vocabularyError } from './vocabulary.ts';
import { wordCache } from './wordCache.ts';

/** SentencePiece writes a space as U+2581. */
export const SPACE_PIECE = '▁';

const SPACE_INSIDE = /[^▁]▁/;
/** Spaces and what follows up to the next. */
const WORD = /▁*[^▁]+|▁+/g;
/** Longer words hardly come again. */
const MAX_CACHED = 64;

const utf8 = new TextEncoder();

/**
 * Text without special tokens to ids, by SentencePiece's BPE as llama.cpp does it: no normalization, the pair that
 * makes the piece of the highest score merges first, what is no piece becomes its bytes. `pieces`: see `textPieces`.
 */
export function spmTokenizer(vocab: Vocabulary, pieces: ReadonlyMap<string, number>): (text: string) => number[] {
  const rank = (left: string, right: string) => {
    const id = pieces.get(left + right);
    return id === undefined ? undefined : -(vocab.scores?.[id] ?? 0);
  };
  const byteId = (byte: number, symbol: string): number => {
    const name = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
    const id = pieces.get(name) ?? vocab.unkId;
    if (id === null)
      throw vocabularyError(`'${symbol}' needs the byte token ${name}; the vocabulary has none.`, { name });
    return id;
  };
  const tokenizeWord = (word: string): readonly number[] => {
    const symbols = Array.from(word); // Code points, not UTF-16 units.
    return mergePairs(symbols, rank).flatMap((symbol) => {
      const id = pieces.get(symbol);
      return id === undefined ? Array.from(utf8.encode(symbol), (byte) => byteId(byte, symbol)) : [id];
    });
  };
  const cached = wordCache(tokenizeWord);
  // Where no piece goes on with a space behind something else, no merge crosses the border before a space: each word is
  // merged by itself. So it is with Llama's and Mistral's vocabularies.
  const isCut = ![...pieces.keys()].some((piece) => SPACE_INSIDE.test(piece));
  return (text) => {
    const escaped = text.replaceAll(' ', SPACE_PIECE);
    if (!isCut) return [...tokenizeWord(escaped)];
    return (escaped.match(WORD) ?? []).flatMap((word) =>
      word.length > MAX_CACHED ? tokenizeWord(word) : cached(word),
    );
  };
}
