/** For this floor's tests: the vocabularies they run on. Not part of the library. */
import { readFileSync } from 'node:fs';
import { testData } from '@floe/testkit/data';
import type { MetadataInput } from '@floe/testkit/ggufWriter';
import { VOCABULARY_ONLY } from '@floe/testkit/realVocabularies';
import { readGguf } from '../gguf/index.ts';
import { charOfByte, toByteLevel } from './byteLevel.ts';
import type { Vocabulary } from './vocabulary.ts';
import { vocabularyFromMetadata } from './vocabularyFromMetadata.ts';

/** The committed model: ChatML, byte-level BPE, 2048 tokens, of which 2045 to 2047 are control tokens. */
export const ARCTIC_TINY = testData('arctic-tiny-sql-q8_0.gguf')!;

export type VectorName = 'llama-spm' | 'gpt-2' | 'bert-bge';

/** llama.cpp's vocabularies with their vectors are too large to commit: tests skip where they are absent. */
export const vectorFile = (name: VectorName) => testData(`${name}.gguf`) ?? '';
export const hasVectors = vectorFile('llama-spm') !== '' && vectorFile('gpt-2') !== '';

export async function readVocabulary(path: string): Promise<Vocabulary> {
  const file = new Uint8Array(readFileSync(path));
  const source = { sizeBytes: file.length, read: async (at: number, length: number) => file.slice(at, at + length) };
  return vocabularyFromMetadata((await readGguf(source)).metadata);
}

/** llama.cpp's test texts with the ids it wants. */
export function readVectors(name: VectorName): { readonly text: string; readonly ids: readonly number[] }[] {
  // Not trimmed: some texts are only spaces or newlines, one is empty.
  const texts = readFileSync(`${vectorFile(name)}.inp`, 'utf8').split('\n__ggml_vocab_test__\n');
  const lines = readFileSync(`${vectorFile(name)}.out`, 'utf8').split('\n');
  return texts.map((text, i) => ({ text, ids: (lines[i] ?? '').split(' ').filter(Boolean).map(Number) }));
}

/** A vocabulary by hand: SentencePiece, where the score is minus the place in the list. */
export function spmVocabulary(
  pieces: readonly string[],
  options: { readonly addSpacePrefix?: boolean } = {},
): Vocabulary {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
  const tokens = ['<unk>', '<s>', '</s>', '<|im_start|>', '<|im_end|>', ...bytes, ...pieces];
  const metadata = new Map<string, unknown>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.scores', tokens.map((_, id) => -id)],
    ['tokenizer.ggml.token_type', tokens.map((_, id) => (id === 0 ? 2 : id < 5 ? 3 : id < 261 ? 6 : 1))],
    ['tokenizer.ggml.add_space_prefix', options.addSpacePrefix ?? true],
  ]);
  return vocabularyFromMetadata(metadata);
}

/**
 * Metadata of a byte-level vocabulary whose merges were learned from `texts` without cutting them into words first: so
 * every cut a pre-tokenizer makes, and every one it fails to make, shows in the ids.
 */
export function uncutVocabulary(texts: readonly string[], nMerges: number, pre: string): Record<string, MetadataInput> {
  const merges: string[] = [];
  const tokens = new Set(charOfByte);
  let corpus = texts.map((text) => toByteLevel(text).split(''));
  while (merges.length < nMerges) {
    const counts = new Map<string, number>();
    for (const symbols of corpus) {
      for (let i = 1; i < symbols.length; i++) {
        const pair = `${symbols[i - 1]} ${symbols[i]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const best = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 50);
    for (const [pair] of best) {
      const [left, right] = pair.split(' ') as [string, string];
      if (tokens.has(left + right)) continue;
      tokens.add(left + right);
      merges.push(pair);
      corpus = corpus.map((symbols) => mergeAll(symbols, left, right));
    }
  }
  return {
    ...VOCABULARY_ONLY,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': pre,
    'tokenizer.ggml.tokens': [...tokens],
    'tokenizer.ggml.token_type': new Int32Array(tokens.size).fill(1),
    'tokenizer.ggml.merges': merges,
  };
}

function mergeAll(symbols: readonly string[], left: string, right: string): string[] {
  const merged: string[] = [];
  for (const symbol of symbols) {
    if (symbol === right && merged.at(-1) === left) merged[merged.length - 1] = left + right;
    else merged.push(symbol);
  }
  return merged;
}
