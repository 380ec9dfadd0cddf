/** Arguments of a command, checked before anything is loaded. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { UsageError } from './failure.ts';
import type { Source } from './runtime.ts';

type Options = NonNullable<ParseArgsConfig['options']>;
export type Values<O extends Options> = {
  [K in keyof O]?: O[K]['type'] extends 'boolean' ? boolean : O[K]['multiple'] extends true ? string[] : string;
};

/** Parses what stands behind the command's name; `names` are the positional arguments, all of them needed. */
export function parse<O extends Options>(
  command: string,
  args: readonly string[],
  names: readonly string[],
  options: O,
): { values: Values<O>; positionals: string[] } {
  const remedy = `See \`floe help ${command}\`.`;
  let parsed: { values: unknown; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError((error as Error).message, remedy, error);
  }
  const { positionals } = parsed;
  const missing = names[positionals.length];
  if (missing !== undefined) throw new UsageError(`\`floe ${command}\` needs a ${missing}.`, remedy);
  const extra = positionals[names.length];
  if (extra !== undefined) throw new UsageError(`\`floe ${command}\` has no use for \`${extra}\`.`, remedy);
  return { values: parsed.values as Values<O>, positionals };
}

/** A model as a person names it: a URL, a hub's address, else a path that has to exist. */
export function modelSource(name: string): Source {
  if (/^https?:\/\/|^hf:/.test(name)) return name;
  if (!existsSync(name))
    throw new UsageError(
      `There is no file ${name}.`,
      'Give the path or the URL of a GGUF file or of a folder of safetensors, or hf:OWNER/REPO/FILE.gguf.',
    );
  return { path: name };
}

/** A number of an option, within bounds; undefined where the option was not given. */
export function numberOption(
  option: string,
  text: string | undefined,
  { min, max = Number.MAX_SAFE_INTEGER, whole = true }: { min: number; max?: number; whole?: boolean },
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  const isRight = text.trim() !== '' && value >= min && value <= max && (!whole || Number.isSafeInteger(value));
  if (isRight) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `of ${min} or more` : `between ${min} and ${max}`;
  throw new UsageError(`${option} is \`${text}\`.`, `Give a ${whole ? 'whole number' : 'number'} ${range}.`);
}

/** The ids of an option: `1,2,3`. */
export function idList(option: string, text: string): number[] {
  return text.split(',').map((id) => numberOption(`An id in ${option}`, id, { min: 0 })!);
}

/** Options of sampling, for `run` and `chat`. */
export const samplingOptions = {
  'max-tokens': { type: 'string' },
  temperature: { type: 'string' },
  seed: { type: 'string' },
} as const satisfies Options;

export function samplingRequest(values: Values<typeof samplingOptions>): {
  max_tokens?: number;
  temperature?: number;
  seed?: number;
} {
  const max_tokens = numberOption('--max-tokens', values['max-tokens'], { min: 1 });
  const temperature = numberOption('--temperature', values.temperature, { min: 0, max: 100, whole: false });
  const seed = numberOption('--seed', values.seed, { min: 0, max: 2 ** 32 - 1 });
  return {
    ...(max_tokens === undefined ? {} : { max_tokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(seed === undefined ? {} : { seed }),
  };
}

/** The bytes of a file that an argument names. */
export async function readInput(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new UsageError(`${path} can't be read: ${(error as Error).message}`, 'Give the path of a text file.', error);
  }
}

/** Text from bytes that have to be UTF-8; a byte order mark is kept, it is part of the text. */
export function utf8(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new UsageError(`${what} is not UTF-8 text.`, 'Convert it, for instance with `iconv -t UTF-8`.', error);
  }
}
