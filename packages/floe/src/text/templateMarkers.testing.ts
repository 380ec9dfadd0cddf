/** One tokenizer for the templates of all families. */
import { writeGguf } from '@floe/testkit/ggufWriter';
import { type TemplateFamily, templateFamilies } from './templateFamilies.testing.ts';
import { uncutVocabulary } from './testFiles.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Of all families. */
export const markers = [...new Set(templateFamilies.flatMap(({ bos, eos, specials }) => [bos, eos, ...specials]))];

/** A file with one vocabulary that has the markers of all families. */
export function markersGguf(): Uint8Array {
  const texts = templateFamilies.map(({ expected }) => expected.replace(/<[^>]*>|\[\/?[A-Z_]+\]|\|\|\|\w+\|\|\|/g, ''));
  const base = uncutVocabulary(texts, 500, 'llama-bpe');
  const pieces = base['tokenizer.ggml.tokens'] as readonly string[];
  const tokens = [...pieces, ...markers];
  const metadata = {
    ...base,
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': Int32Array.from(tokens, (_, id) => (id < pieces.length ? 1 : 3)),
    'tokenizer.ggml.add_bos_token': false,
  };
  return writeGguf({ metadata, tensors: [] });
}

/** The tokenizer of that vocabulary, as a family's file would have it. */
export function tokenizerOf({ template, bos, eos }: TemplateFamily, tokenizer: Tokenizer): Tokenizer {
  const { vocabulary } = tokenizer;
  const [bosId, eosId] = [vocabulary.tokens.indexOf(bos), vocabulary.tokens.indexOf(eos)];
  return { ...tokenizer, vocabulary: { ...vocabulary, bosId, eosId, chatTemplate: template } };
}
