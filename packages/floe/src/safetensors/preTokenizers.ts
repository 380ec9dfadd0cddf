/** Which of GGUF's pre-tokenizers a tokenizer.json means: GGUF has a name where tokenizer.json has the regexes. */
import { TextError } from '../errors/index.ts';
import { quote } from './fail.ts';
import { isObject, type Json } from './json.ts';

const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPACES_LAST = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const words = (digits: string) =>
  `${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES_LAST}`;
const UPPER = '\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}';
const LOWER = '\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}';
const casedWords = (suffix: string, digits: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?[${UPPER}]*[${LOWER}]+${suffix}|[^\\r\\n\\p{L}\\p{N}]?[${UPPER}]+[${LOWER}]*${suffix}` +
  `|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES_LAST}`;

/** By what the steps of a tokenizer.json say, one after the other; 'ByteLevel' by itself cuts as GPT-2 does. */
const known: readonly { readonly steps: readonly string[]; readonly pre: string; readonly ignoreMerges: boolean }[] = [
  { steps: ['ByteLevel'], pre: 'gpt-2', ignoreMerges: false },
  { steps: ['Digits', 'ByteLevel'], pre: 'starcoder', ignoreMerges: false },
  { steps: [words('\\p{N}{1,3}')], pre: 'llama-bpe', ignoreMerges: true },
  { steps: [words('\\p{N}{1,3}')], pre: 'dbrx', ignoreMerges: false },
  { steps: [words('\\p{N}')], pre: 'qwen2', ignoreMerges: false },
  { steps: [casedWords(`${CONTRACTION}?`, '\\p{N}{1,3}')], pre: 'gpt-4o', ignoreMerges: false },
  { steps: [casedWords('', '\\p{N}')], pre: 'tekken', ignoreMerges: true },
];

/** @throws {TextError} `text/pre-tokenizer`: guessing would give wrong ids without a word. */
export function preTokenizerName(preTokenizer: Json | undefined, ignoreMerges: boolean): string {
  const steps = stepsOf(preTokenizer);
  const found = known.find((row) => row.ignoreMerges === ignoreMerges && row.steps.join('\0') === steps.join('\0'));
  if (found) return found.pre;
  throw new TextError(
    'text/pre-tokenizer',
    `tokenizer.json cuts text by ${quote(steps.join(', '))}, which Floe lacks.`,
    {
      remedy: 'Take the model as a GGUF, and please report it.',
      details: { steps, ignoreMerges },
    },
  );
}

/** What each step cuts by. A byte-level step that only spells bytes is none. */
function stepsOf(preTokenizer: Json | undefined): string[] {
  if (!isObject(preTokenizer)) return [];
  const { type, pretokenizers, pattern, use_regex: cuts, individual_digits: eachDigit } = preTokenizer;
  if (type === 'Sequence' && Array.isArray(pretokenizers)) return (pretokenizers as readonly Json[]).flatMap(stepsOf);
  if (type === 'Split' && isObject(pattern)) return [String(pattern.Regex ?? pattern.String)];
  if (type === 'ByteLevel') return cuts === false ? [] : ['ByteLevel'];
  if (type === 'Digits' && eachDigit === true) return ['Digits'];
  return [String(type)];
}
