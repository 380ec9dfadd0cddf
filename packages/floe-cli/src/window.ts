/** The window on the command line: how much a model sees of what was said, and how that is kept. */
import type { LoadOptions } from 'floe/node';
import { numberOption, type Values } from './arguments.ts';
import { UsageError } from './failure.ts';

/** Options of every command that runs a model. */
export const windowOptions = {
  window: { type: 'string' },
  sinks: { type: 'string' },
  kv: { type: 'string' },
} as const;

/** What the help of such a command says of them. */
export const windowUsage = `  --window N            tokens that a token sees; default: the trained context, or what memory holds. It slides
  --sinks N             first tokens that stay in sight; default 4
  --kv FORMAT           f32, f16 or q8_0: how keys and values are kept; default: as exactly as memory allows`;

const FORMATS = { f32: 'F32', f16: 'F16', q8_0: 'Q8_0' } as const;

/** As `loadModel` takes them; what was not given is left to it. */
export function windowLoad(values: Values<typeof windowOptions>): Pick<LoadOptions, 'context'> {
  const window = numberOption('--window', values.window, { min: 2 });
  const sinks = numberOption('--sinks', values.sinks, { min: 0 });
  const kv = formatOption(values.kv);
  if (window === undefined && sinks === undefined && kv === undefined) return {};
  return {
    context: {
      ...(window === undefined ? {} : { window }),
      ...(sinks === undefined ? {} : { sinks }),
      ...(kv === undefined ? {} : { kv }),
    },
  };
}

function formatOption(text: string | undefined): (typeof FORMATS)[keyof typeof FORMATS] | undefined {
  if (text === undefined) return undefined;
  if (Object.hasOwn(FORMATS, text)) return FORMATS[text as keyof typeof FORMATS];
  throw new UsageError(`--kv is \`${text}\`.`, `Give ${Object.keys(FORMATS).join(', ')}.`);
}
