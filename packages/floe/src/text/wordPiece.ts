import { NONE, PieceTrie, ROOT } from './pieceTrie.ts';
import { SPACE_PIECE } from './spm.ts';
import { type Vocabulary, vocabularyError } from './vocabulary.ts';
import { isSpace } from './whiteSpace.ts';

const PUNCTUATION = /^\p{P}$/u;
const ASCII_SYMBOL = /^[$+<=>^`|~]$/;
const MARK = /^\p{M}$/u;
/** Not of \p{C}: what no Unicode version known here has assigned, which stays in the text. */
const CONTROL = /^[\p{Cc}\p{Cf}\p{Cs}\p{Co}]$/u;
/** Each is a word of its own. The gap from U+2B820 on is BERT's, as its tokenizers have it. */
const CHINESE =
  /^[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]$/u;

/**
 * Text without special tokens to ids, by BERT's WordPiece as llama.cpp does it: words are cut at spaces and around
 * punctuation, and each is the longest pieces from its beginning on; one that is not made of pieces is the unknown
 * token as a whole (Devlin et al. 2018). A GGUF writes the beginning of a word as U+2581, its other pieces bare.
 */
export function wordPieceTokenizer(vocab: Vocabulary, pieces: ReadonlyMap<string, number>): (text: string) => number[] {
  const trie = new PieceTrie(pieces);
  const { unkId } = vocab;
  if (unkId === null) throw vocabularyError('A bert tokenizer needs an unknown token; the file names none.', {});
  return (text) => bertWords(text, vocab).flatMap((word) => longestPieces(trie, SPACE_PIECE + word) ?? [unkId]);
}

/** The ids of a word, or null where a part of it is no piece. */
function longestPieces(trie: PieceTrie, word: string): number[] | null {
  const ids: number[] = [];
  for (let start = 0; start < word.length; ) {
    let [id, end] = [NONE, start];
    for (let at = start, node = ROOT; at < word.length; ) {
      node = trie.step(node, word.charCodeAt(at++));
      if (node === NONE) break;
      if (trie.idAt(node) === NONE) continue;
      id = trie.idAt(node);
      end = at;
    }
    if (id === NONE) return null;
    ids.push(id);
    start = end;
  }
  return ids;
}

/** The words of a text, as the vocabulary wants them written: in lower case, say, and without accents. */
export function bertWords(text: string, how: Pick<Vocabulary, 'lowercase' | 'stripAccents'>): string[] {
  const words: string[] = [];
  let word = '';
  const endWord = () => {
    if (word !== '') words.push(word);
    word = '';
  };
  for (const char of text) {
    // The first code point of the canonical decomposition: the letter without the accents composed with it.
    const letter = how.stripAccents && char > '\x7f' ? firstOf(char.normalize('NFD')) : char;
    if (isSpace(letter)) endWord();
    else if (letter === '\0' || letter === '\ufffd' || CONTROL.test(letter)) continue;
    else if (how.stripAccents && MARK.test(letter)) continue;
    else {
      const written = how.lowercase ? firstOf(letter.toLowerCase()) : letter;
      const alone = PUNCTUATION.test(letter) || ASCII_SYMBOL.test(letter) || CHINESE.test(letter);
      if (alone) endWord();
      word += written;
      if (alone) endWord();
    }
  }
  endWord();
  return words;
}

function firstOf(text: string): string {
  return String.fromCodePoint(text.codePointAt(0)!);
}
