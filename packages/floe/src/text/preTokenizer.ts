import { TextError } from '../errors/index.ts';
import { SPACES } from './whiteSpace.ts';

/** How a byte-level vocabulary cuts text into words before any merge. */
export interface PreTokenizer {
  /** Each in turn cuts every piece so far into its matches and the gaps between them. */
  readonly regexes: readonly RegExp[];
  /** A word that is a token as a whole is taken as it is, whatever the merges would make of it. */
  readonly ignoreMerges: boolean;
}

/** A regex in llama.cpp's spelling, with its meaning of \s and \S. */
function regex(source: string): RegExp {
  let inClass = false;
  const spelled = source.replace(/\\[\s\S]|[[\]]/g, (token) => {
    if (token === '[') inClass = true;
    if (token === ']') inClass = false;
    if (token === '\\s') return inClass ? SPACES : `[${SPACES}]`;
    if (token === '\\S') return `[^${SPACES}]`;
    return token;
  });
  return new RegExp(spelled, 'gu');
}

// Contractions in either case, spelled out: (?i:…) needs newer engines than ours.
const CONTRACTION = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)";
const SPACES_LAST = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const llama3 = (digits: string) =>
  `(?:${CONTRACTION})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES_LAST}`;

// llama.cpp tells upper from lower case for ASCII only here; to give the same ids, so do we.
const NOT_LOWER = '(?:(?=\\p{L})[^a-z])';
const NOT_UPPER = '(?:(?=\\p{L})[^A-Z])';
const casedWords = (suffix: string, digits: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?${NOT_LOWER}*${NOT_UPPER}+${suffix}|[^\\r\\n\\p{L}\\p{N}]?${NOT_LOWER}+${NOT_UPPER}*${suffix}` +
  `|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES_LAST}`;

// U+0800 to U+9FA5 and Hangul, without the spaces among them: llama.cpp sees those as vertical tabs by then.
const DEEPSEEK_EAST =
  '\\u0800-\\u167F\\u1681-\\u1FFF\\u200B-\\u2027\\u202A-\\u202E\\u2030-\\u205E\\u2060-\\u2FFF\\u3001-\\u9FA5\\uAC00-\\uD7FF';

// DeepSeek LLM lists the letters that have a case one by one, and lacks these blocks of them.
const DEEPSEEK_CASED =
  '(?:(?![\\u0560-\\u0588\\u10D0-\\u10FF\\u1C89\\u1C8A\\u2D00-\\u2D2D\\uA790-\\uA7FF\\uAB30-\\uAB6F\\u{10570}-\\u{105BF}\\u{10D50}-\\u{10D8F}' +
  '\\u{16E40}-\\u{16EDF}\\u{1D400}-\\u{1D7FF}\\u{1DF00}-\\u{1DF2F}])[\\p{Lu}\\p{Ll}\\p{Lt}\\u0295])';

const families: readonly {
  readonly names: readonly string[];
  readonly sources: readonly string[];
  readonly ignoreMerges?: true;
}[] = [
  {
    // No name in the file: llama.cpp's fallback, which is not GPT-2's.
    names: ['default'],
    sources: ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]'],
  },
  {
    names: [
      'gpt-2',
      'phi-2',
      'mpt',
      'olmo',
      'jais',
      'trillion',
      'granite-docling',
      'exaone4',
      'mellum',
      'modern-bert',
      'gigachat',
      'a.x-4.0',
      'jina-v1-en',
      'jina-v2-code',
      'jina-v2-de',
      'jina-v2-es',
      'roberta-bpe',
    ],
    sources: [GPT2],
  },
  {
    names: ['llama3', 'llama-v3', 'llama-bpe', 'falcon3', 'falcon-h1', 'pixtral', 'midm-2.0', 'lfm2', 'jina-v5-nano'],
    sources: [llama3('\\p{N}{1,3}')],
    ignoreMerges: true,
  },
  { names: ['dbrx', 'smaug-bpe', 'glm4', 'chatglm-bpe'], sources: [llama3('\\p{N}{1,3}')] },
  {
    // bailingmoe writes \s*[\r\n] without the +, which matches the same: \s* takes the newlines before the last.
    names: [
      'qwen2',
      'stablelm2',
      'deepseek-r1-qwen',
      'megrez',
      'hunyuan',
      'solar-open',
      'grok-2',
      'bailingmoe',
      'bailingmoe2',
      'llada-moe',
      'kormo',
    ],
    sources: [llama3('\\p{N}')],
  },
  {
    names: ['qwen35'],
    sources: [
      `(?:${CONTRACTION})|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES_LAST}`,
    ],
  },
  {
    names: ['seed-coder'],
    sources: [`(?:${CONTRACTION})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|${SPACES_LAST}`],
  },
  {
    names: ['starcoder', 'refact', 'command-r', 'smollm', 'codeshell', 'exaone', 'minerva-7b', 'mellum2'],
    sources: ['\\p{N}', GPT2],
  },
  { names: ['falcon'], sources: ['[\\p{P}\\$\\+<=>\\^~\\|`]+', GPT2, '[0-9][0-9][0-9]'] },
  {
    names: ['deepseek-llm'],
    sources: [
      '[\\r\\n]',
      `\\s?${DEEPSEEK_CASED}+`,
      '\\s?[!-\\/:-~\\uFF01-\\uFF0F\\uFF1A-\\uFF5E\\u2018-\\u201F\\u3001\\u3002]+',
      '\\s+$',
      `[${DEEPSEEK_EAST}]+`,
      '\\p{N}+',
    ],
  },
  {
    names: ['deepseek-coder'],
    sources: ['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', `[${DEEPSEEK_EAST}]+`, '\\p{N}'],
  },
  {
    names: ['deepseek-v3', 'hunyuan-dense', 'joyai-llm'],
    sources: [
      '\\p{N}{1,3}',
      '[\\u4E00-\\u9FA5\\u3040-\\u309F\\u30A0-\\u30FF]+',
      '[!-\\/:-@\\[-`\\{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|' +
        SPACES_LAST,
    ],
  },
  { names: ['gpt-4o', 'llama4', 'kanana2', 'minimax-m2'], sources: [casedWords(`(?:${CONTRACTION})?`, '\\p{N}{1,3}')] },
  { names: ['tekken'], sources: [casedWords('', '\\p{N}')], ignoreMerges: true },
];

/** Every name `preTokenizer` knows, by family: those of one cut alike. */
export const preTokenizerFamilies: readonly (readonly string[])[] = families.map((family) => family.names);

/**
 * The pre-tokenizer a GGUF names; 'default' where it names none.
 *
 * @throws {TextError} `text/pre-tokenizer`: guessing would give wrong ids without a word.
 */
export function preTokenizer(name: string | null): PreTokenizer {
  const family = families.find(({ names }) => names.includes(name ?? 'default'));
  if (!family) {
    throw new TextError('text/pre-tokenizer', `The vocabulary wants the pre-tokenizer '${name}', which Floe lacks.`, {
      remedy: `Known are: ${preTokenizerFamilies.flat().join(', ')}. Please report the model.`,
      details: { pre: name },
    });
  }
  return { regexes: family.sources.map(regex), ignoreMerges: family.ignoreMerges ?? false };
}

/** The words of a text, in order and complete. */
export function splitWords(text: string, { regexes }: PreTokenizer): string[] {
  let pieces = [text];
  for (const regex of regexes) pieces = pieces.flatMap((piece) => matchesAndGaps(piece, regex));
  return pieces;
}

function matchesAndGaps(text: string, regex: RegExp): string[] {
  const pieces: string[] = [];
  let end = 0;
  for (const match of text.matchAll(regex)) {
    if (match.index > end) pieces.push(text.slice(end, match.index));
    if (match[0] !== '') pieces.push(match[0]);
    end = match.index + match[0].length;
  }
  if (end < text.length) pieces.push(text.slice(end));
  return pieces;
}
