import { toByteLevel } from './byteLevel.ts';
import { mergePairs } from './mergePairs.ts';
import { preTokenizer, splitWords } from './preTokenizer.ts';
import { splitMerge, type Vocabulary } from './vocabulary.ts';
import { wordCache } from './wordCache.ts';

/** Text without special tokens to ids, by byte-level BPE as llama.cpp does it. `pieces`: see `textPieces`. */
export function bpeTokenizer(vocab: Vocabulary, pieces: ReadonlyMap<string, number>): (text: string) => number[] {
  const pre = preTokenizer(vocab.pre);
  const ranks = new Map<string, number>();
  for (const [rank, merge] of vocab.merges.entries()) {
    const [left, right] = splitMerge(merge);
    // A merge whose result no text may become is no merge; of two alike the first counts. No byte is mapped to a
    // space, so the line itself is a safe key.
    if (pieces.has(left + right) && !ranks.has(merge)) ranks.set(merge, rank);
  }
  const rank = (left: string, right: string) => ranks.get(`${left} ${right}`);

  const tokenizeWord = wordCache((word) => {
    const mapped = toByteLevel(word);
    const whole = pre.ignoreMerges ? pieces.get(mapped) : undefined;
    const symbols = whole === undefined ? mergePairs(mapped.split(''), rank) : [mapped];
    // A byte that is no piece has no id: it is left out, as in llama.cpp.
    return symbols.map((symbol) => pieces.get(symbol)).filter((id) => id !== undefined);
  });
  return (text) => splitWords(text, pre).flatMap((word) => tokenizeWord(word));
}
