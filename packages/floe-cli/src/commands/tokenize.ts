import { modelSource, parse, utf8 } from '../arguments.ts';
import type { Command } from '../command.ts';
import { UsageError } from '../failure.ts';
import { fetchLoad, fetchOptions, fetchUsage } from '../fetching.ts';

const usage = `floe tokenize MODEL.gguf [options] < text: the ids of a text, as a JSON array

  --special    text like <|im_end|> becomes its control token; without, it stays text
  --batch      standard input is a JSON array of strings, the answer an array of arrays
${fetchUsage}

Nothing is added around the text, and nothing taken from it. Works on a vocabulary without tensors.
MODEL.gguf is a path, a URL or hf:OWNER/REPO/FILE.gguf;
or a folder of safetensors, as a path, a URL with a slash at its end, or hf:OWNER/REPO.
`;

/** `floe tokenize`: text to ids. */
export const tokenize: Command = {
  name: 'tokenize',
  summary: 'text from standard input to ids',
  usage,
  run: async (args, { runtime, terminal }) => {
    const { values, positionals } = parse('tokenize', args, ['MODEL.gguf'], {
      ...fetchOptions,
      special: { type: 'boolean' },
      batch: { type: 'boolean' },
      json: { type: 'boolean' }, // what it does anyway
    });
    const source = modelSource(positionals[0]!);
    const input = utf8(await terminal.readInput(), 'Standard input');
    const texts = values.batch ? stringArray(input) : [input];
    const tokenizer = await runtime.openTokenizer(source, fetchLoad(values));
    const ids = texts.map((text) => tokenizer.tokenize(text, { special: values.special ?? false }));
    terminal.out(`${JSON.stringify(values.batch ? ids : ids[0])}\n`);
  },
};

function stringArray(json: string): string[] {
  const remedy = 'With --batch standard input is like ["first text","second text"].';
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new UsageError(`Standard input is not JSON: ${(error as Error).message}`, remedy, error);
  }
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw new UsageError('Standard input is not a JSON array of strings.', remedy);
}
