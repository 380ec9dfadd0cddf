/** `pnpm bench:tokenize`: how long a megabyte of text takes, for a vocabulary of each kind. */
import { existsSync, readFileSync } from 'node:fs';
import { testData } from '@floe/testkit/data';
import { type GgufInput, writeGguf } from '@floe/testkit/ggufWriter';
import { randomTexts } from '@floe/testkit/randomTexts';
import { type RealVocabulary, realVocabularies } from '@floe/testkit/realVocabularies';
import { readGguf } from '../packages/floe/src/gguf/index.ts';
import { createTokenizer, vocabularyFromMetadata } from '../packages/floe/src/text/index.ts';
import { TokenType } from '../packages/floe/src/text/vocabulary.ts';

const MEGABYTE = 1e6;

/** Text whose UTF-8 is a megabyte: prose and code of this repository, or twenty scripts at random. */
function megabyte(kind: 'prose' | 'scripts'): string {
  const read = (path: string) => readFileSync(path, 'utf8');
  const once =
    kind === 'prose'
      ? ['README.md', 'docs/paging.md', 'docs/gguf.md', 'packages/floe/src/text/tokenizer.ts'].map(read).join('\n')
      : randomTexts(4000, 'bench').join('\n');
  const bytes = new TextEncoder().encode(once.repeat(Math.ceil(MEGABYTE / once.length)));
  return new TextDecoder().decode(bytes.subarray(0, MEGABYTE));
}

/** As many user-defined tokens as Gemma has, each of which may stand anywhere in a text. */
const N_USER_TOKENS = 6400;

function withUserTokens({ metadata }: RealVocabulary): GgufInput['metadata'] {
  const key = (name: string) => `tokenizer.ggml.${name}`;
  const added = Array.from({ length: N_USER_TOKENS }, (_, i) => `<unused${i}>`);
  const scores = metadata[key('scores')] as Float32Array;
  const types = metadata[key('token_type')] as Int32Array;
  return {
    ...metadata,
    [key('tokens')]: [...(metadata[key('tokens')] as readonly string[]), ...added],
    [key('scores')]: Float32Array.from([...scores, ...added.map(() => 0)]),
    [key('token_type')]: Int32Array.from([...types, ...added.map(() => TokenType.userDefined)]),
  };
}

const files: Record<string, Uint8Array> = {};
for (const [name, make] of Object.entries(realVocabularies)) {
  files[name] = writeGguf({ metadata: (await make()).metadata, tensors: [] });
}
const crowded = withUserTokens(await realVocabularies.mistral!());
files[`mistral, ${N_USER_TOKENS} user-defined tokens more`] = writeGguf({ metadata: crowded, tensors: [] });
files['unigram (1600 pieces)'] = new Uint8Array(readFileSync('packages/testkit/data/unigram.gguf'));
const bert = testData('bert-bge.gguf') ?? '../shared/tokenizers/bert-bge.gguf';
if (existsSync(bert)) files['bert (bge)'] = new Uint8Array(readFileSync(bert));
const texts = { prose: megabyte('prose'), scripts: megabyte('scripts') };
console.log('| vocabulary | made, ms | 1 MB of prose and code, ms | 1 MB of twenty scripts, ms | tokens |');
console.log('|---|---|---|---|---|');
for (const [name, file] of Object.entries(files)) {
  const source = { sizeBytes: file.length, read: async (at: number, n: number) => file.slice(at, at + n) };
  const vocab = vocabularyFromMetadata((await readGguf(source)).metadata);
  const start = performance.now();
  const tokenizer = createTokenizer(vocab);
  const madeMs = performance.now() - start;
  const runs = Object.values(texts).map((text) => {
    const begin = performance.now();
    const { length } = tokenizer.tokenize(text);
    return { ms: performance.now() - begin, length };
  });
  const times = runs.map(({ ms }) => ms.toFixed(0)).join(' | ');
  console.log(`| ${name} | ${madeMs.toFixed(0)} | ${times} | ${runs.map(({ length }) => length).join(', ')} |`);
}
