/** `pnpm bench:tokenize`: how long a megabyte of text takes, for a vocabulary of each kind. */
import { existsSync, readFileSync } from 'node:fs';
import { testData } from '@floe/testkit/data';
import { writeGguf } from '@floe/testkit/ggufWriter';
import { randomTexts } from '@floe/testkit/randomTexts';
import { realVocabularies } from '@floe/testkit/realVocabularies';
import { readGguf } from '../packages/floe/src/gguf/index.ts';
import { createTokenizer, vocabularyFromMetadata } from '../packages/floe/src/text/index.ts';

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

const files: Record<string, Uint8Array> = {};
for (const [name, make] of Object.entries(realVocabularies)) {
  files[name] = writeGguf({ metadata: (await make()).metadata, tensors: [] });
}
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
