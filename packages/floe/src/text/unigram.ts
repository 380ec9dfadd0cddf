import { charsmapNormalizer } from './charsmap.ts';
import { NONE, PieceTrie, ROOT } from './pieceTrie.ts';
import { SPACE_PIECE } from './spm.ts';
import { TokenType, typeOf, type Vocabulary, vocabularyError } from './vocabulary.ts';

/** How much worse than the worst piece an unknown character is; SentencePiece's constant. */
const UNKNOWN_PENALTY = 10;

const [utf8, fromUtf8] = [new TextEncoder(), new TextDecoder('utf-8', { ignoreBOM: true })];

/**
 * Text without special tokens to ids, by SentencePiece's Unigram as llama.cpp does it: of all ways to cut the
 * normalized text into pieces the one whose scores (log-probabilities) sum to the most (Kudo 2018; Viterbi). What no
 * piece covers is the unknown token, once for neighbours.
 */
export function unigramTokenizer(vocab: Vocabulary, pieces: ReadonlyMap<string, number>): (text: string) => number[] {
  const { unkId } = vocab;
  if (unkId === null) throw vocabularyError('A t5 tokenizer needs an unknown token; the file names none.', {});
  const trie = new PieceTrie([...pieces].filter(([, id]) => typeOf(vocab, id) !== TokenType.byte));
  const normalize = normalizer(vocab);
  const scores = scoresOf(vocab);
  return (text) => best(normalize(text), trie, scores, unkId);
}

interface Scores {
  /** By id. */
  readonly of: Float32Array;
  readonly unknown: number;
}

function scoresOf(vocab: Vocabulary): Scores {
  const of = Float32Array.from(vocab.scores ?? []);
  let worst = Number.POSITIVE_INFINITY;
  for (const [id, score] of of.entries()) {
    const type = typeOf(vocab, id);
    if (type === TokenType.normal) worst = Math.min(worst, score);
    // Text that was added to the vocabulary is taken wherever it stands.
    if (type === TokenType.userDefined) of[id] = 0;
  }
  return { of, unknown: Math.fround(worst - UNKNOWN_PENALTY) };
}

/** The ids of the best way through `text`. At each place the best sum so far is kept, and the piece that ends there. */
function best(text: string, trie: PieceTrie, scores: Scores, unkId: number): number[] {
  const n = text.length;
  const sums = new Float64Array(n + 1).fill(Number.NEGATIVE_INFINITY);
  const starts = new Int32Array(n + 1);
  const ids = new Int32Array(n + 1).fill(unkId);
  sums[0] = 0;
  const offer = (start: number, end: number, id: number, score: number) => {
    const sum = sums[start]! + score;
    if (!(sum > sums[end]!)) return;
    sums[end] = sum;
    starts[end] = start;
    ids[end] = id;
  };
  for (let start = 0; start < n; ) {
    const next = start + (text.codePointAt(start)! > 0xffff ? 2 : 1);
    let covered = false;
    for (let at = start, node = ROOT; at < n; ) {
      node = trie.step(node, text.charCodeAt(at++));
      if (node === NONE) break;
      const id = trie.idAt(node);
      if (id === NONE) continue;
      if (at === next) covered = true;
      offer(start, at, id, scores.of[id]!);
    }
    if (!covered) offer(start, next, unkId, scores.unknown);
    start = next;
  }
  const reversed: number[] = [];
  for (let end = n; end > 0; end = starts[end]!) {
    const id = ids[end]!;
    if (id !== unkId || reversed.at(-1) !== unkId) reversed.push(id);
  }
  return reversed.reverse();
}

/** The text as its pieces are written: by the file's own map, with U+2581 for a space, as many as the file wants. */
function normalizer({ charsmap, addSpacePrefix, removeExtraSpaces }: Vocabulary): (text: string) => string {
  const mapped = charsmap ? charsmapNormalizer(charsmap) : (text: string) => utf8.encode(text);
  return (text) => {
    let out = '';
    let inWord = false;
    let hasPrefix = false;
    for (const run of fromUtf8.decode(mapped(text)).split(/( )/)) {
      if (run === '') continue;
      if (run === ' ') {
        inWord = false;
        if (!removeExtraSpaces) out += SPACE_PIECE;
        continue;
      }
      if (!inWord && ((addSpacePrefix && !hasPrefix) || removeExtraSpaces)) {
        out += SPACE_PIECE;
        hasPrefix = true;
      }
      inWord = true;
      out += run;
    }
    return out;
  };
}
