/**
 * SentencePiece merges the pair that makes the piece of the best score; tokenizer.json lists pairs, best first, as they
 * follow from scores that it leaves out. Any scores in the order of the pairs give the same ids.
 */
import { vocabularyError } from './vocabulary.ts';

/**
 * A score for each piece that a pair makes: 0, -1, … in the order of the list.
 *
 * @throws {TextError} `text/vocabulary`: the pairs follow from no scores, or some are left out.
 */
export function scoresOfMerges(
  merges: readonly (readonly [left: string, right: string])[],
  isPiece: (text: string) => boolean,
): ReadonlyMap<string, number> {
  const scores = new Map<string, number>();
  const pairs = new Set<string>();
  let last: string | null = null;
  for (const [rank, [left, right]] of merges.entries()) {
    const piece = left + right;
    pairs.add(`${left} ${right}`);
    if (piece === last) continue;
    if (scores.has(piece)) {
      throw vocabularyError(`Merge ${rank} of tokenizer.json makes '${piece}' again, behind merges of other pieces.`, {
        rank,
        piece,
      });
    }
    scores.set(piece, -scores.size);
    last = piece;
  }
  for (const piece of scores.keys()) checkPairs(piece, pairs, isPiece);
  return scores;
}

/** Pairs that are not listed are not merged, which scores can't say. */
function checkPairs(piece: string, pairs: ReadonlySet<string>, isPiece: (text: string) => boolean): void {
  const symbols = Array.from(piece);
  let left = '';
  for (const symbol of symbols.slice(0, -1)) {
    left += symbol;
    const right = piece.slice(left.length);
    if (!isPiece(left) || !isPiece(right) || pairs.has(`${left} ${right}`)) continue;
    throw vocabularyError(`tokenizer.json has no merge of '${left}' and '${right}', two pieces that make a third.`, {
      left,
      right,
    });
  }
}
