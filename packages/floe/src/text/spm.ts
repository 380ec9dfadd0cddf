import { mergePairs } from './mergePairs.ts';
import { type Vocabulary, vocabularyError } from './vocabulary.ts';

/** SentencePiece writes a space as U+2581. */
export const SPACE_PIECE = '▁';

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
  return (text) => {
    const ids: number[] = [];
    const symbols = Array.from(text.replaceAll(' ', SPACE_PIECE)); // Code points, not UTF-16 units.
    for (const symbol of mergePairs(symbols, rank)) {
      const id = pieces.get(symbol);
      if (id !== undefined) ids.push(id);
      else for (const byte of utf8.encode(symbol)) ids.push(byteId(byte, symbol));
    }
    return ids;
  };
}
