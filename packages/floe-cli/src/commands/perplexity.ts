import type { LossyCost, Model } from 'floe/node';
import { parse, readInput, utf8 } from '../arguments.ts';
import { pagingLoad, pagingOptions, pagingUsage } from '../budget.ts';
import type { Command, Context } from '../command.ts';
import { UsageError } from '../failure.ts';
import { StatusLine, withModel } from '../loading.ts';
import { adaptersOf, loraOptions, loraUsage } from '../lora.ts';
import { traceOption, traceUsage } from '../trace.ts';
import { windowLoad, windowOptions, windowUsage } from '../window.ts';

/** Tokens of which the price of leaving experts out is measured: each is decoded twice. */
const LOSSY_TOKENS = 256;

const usage = `floe perplexity MODEL.gguf FILE [options]: how well a model expects a text

  --json                {"ppl", "n", "error", "window", "lossy"}: n is the number of tokens scored
${windowUsage}
${loraUsage}
${pagingUsage}
${traceUsage}

As llama-perplexity computes it: windows of 512 tokens (of the context, where that is smaller), of which the second
half is scored. MODEL.gguf is a path, a URL or hf:OWNER/REPO/FILE.gguf,
FILE a text. It is always exact; with --drop-below it says besides what leaving
experts out costs over the text's first ${LOSSY_TOKENS} tokens.
`;

const DEFAULT_WINDOW = 512;

/** `floe perplexity`: exp of the mean negative log-likelihood. */
export const perplexity: Command = {
  name: 'perplexity',
  summary: 'how well a model expects a text',
  usage,
  run: async (args, context) => {
    const { values, positionals } = parse('perplexity', args, ['MODEL.gguf', 'FILE'], {
      ...pagingOptions,
      ...windowOptions,
      ...loraOptions,
      ...traceOption,
      json: { type: 'boolean' },
    });
    const [name, file] = positionals as [string, string];
    const loading = {
      quiet: values.json ?? false,
      load: { ...pagingLoad(values), ...windowLoad(values) },
      adapters: adaptersOf(values),
      trace: values.trace,
    };
    const text = utf8(await readInput(file), file);
    await withModel(name, context, loading, async (model) => {
      const isStream = values.window !== undefined;
      const { contextLength } = model.info;
      const window = isStream ? contextLength : Math.min(DEFAULT_WINDOW, contextLength);
      if (window < DEFAULT_WINDOW && !isStream && !values.json) {
        context.terminal.err(`windows of ${window}, this model's context, instead of ${DEFAULT_WINDOW}\n`);
      }
      const windows = isStream ? [await streamOf(model, text)] : await windowsOf(model, text, window);
      const { ppl, error, n } = await score(model, windows, isStream, context);
      const isLossy = Number(values['drop-below'] ?? 0) > 0;
      const { signal } = context;
      const lossy = isLossy ? await model.lossyCost(windows[0]!.slice(0, LOSSY_TOKENS), { signal }) : null;
      context.terminal.out(
        values.json
          ? `${JSON.stringify({ ppl, n, error, window, ...(lossy ? { lossy } : {}) })}\n`
          : `perplexity ${ppl.toFixed(4)} ± ${error.toFixed(4)} over ${n} tokens, ${isStream ? 'a sliding window' : 'windows'} of ${window}\n`,
      );
      if (lossy && !values.json) context.terminal.out(inWords(lossy));
    });
  },
};

function inWords({ dropped, nRouted, droppedMass, meanKl, nTokens }: LossyCost): string {
  const share = `${((100 * dropped) / nRouted).toFixed(1)}% of the routed experts, ${(100 * droppedMass).toFixed(1)}% of the gates' weight`;
  return `left out ${share}: KL ${meanKl.toExponential(2)} nats over ${nTokens} tokens\n`;
}

async function streamOf(model: Model, text: string): Promise<number[]> {
  const ids = await model.tokenize(text, { addSpecial: true });
  if (ids.length < 2) throw new UsageError(`The text has ${ids.length} tokens.`, 'Take a longer text.');
  return ids;
}

/** Cuts the text's ids into whole windows; the first id of each gives way to BOS where the file adds one to a text. */
async function windowsOf(model: Model, text: string, window: number): Promise<number[][]> {
  const ids = await model.tokenize(text, { addSpecial: true });
  // llama-perplexity asks for two windows, so that a figure never rests on a single one.
  if (ids.length < 2 * window) {
    throw new UsageError(
      `The text has ${ids.length} tokens; perplexity needs at least ${2 * window}.`,
      'Take a longer text.',
    );
  }
  const bos = await bosOf(model);
  return Array.from({ length: Math.floor(ids.length / window) }, (_, i) => {
    const cut = ids.slice(i * window, (i + 1) * window);
    return bos === null ? cut : [bos, ...cut.slice(1)];
  });
}

/** The id this file wants before a text, or null: what a text begins with only when specials are added. */
async function bosOf(model: Model): Promise<number | null> {
  const [plain] = await model.tokenize('a');
  const [first] = await model.tokenize('a', { addSpecial: true });
  return first === undefined || first === plain ? null : first;
}

interface Score {
  readonly ppl: number;
  /** One standard error of `ppl`. */
  readonly error: number;
  readonly n: number;
}

async function score(
  model: Model,
  windows: readonly (readonly number[])[],
  isStream: boolean,
  context: Context,
): Promise<Score> {
  const line = new StatusLine(context.terminal);
  const losses: number[] = [];
  try {
    for (const [i, ids] of windows.entries()) {
      const from = isStream ? 0 : Math.floor(ids.length / 2);
      losses.push(...(await lossesFrom(model, ids, from, context.signal)));
      line.show(`window ${i + 1} of ${windows.length}: perplexity ${summary(losses).ppl.toFixed(4)}`);
    }
  } finally {
    line.clear();
  }
  return summary(losses);
}

/** -ln p of ids[i + 1] after ids 0…i, for each i from `from` to the last that has a next. */
async function lossesFrom(model: Model, ids: readonly number[], from: number, signal: AbortSignal): Promise<number[]> {
  const positions = await model.logprobs(ids, { top: 0, signal });
  return positions.slice(from, ids.length - 1).map(({ position, next }) => {
    if (next === undefined) throw new Error(`logprobs gave nothing for the id behind position ${position}`);
    return -next;
  });
}

/** Mean and standard error of the losses, carried over to exp(mean). */
export function summary(losses: readonly number[]): Score {
  const n = losses.length;
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / n;
  const variance = losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / n;
  const ppl = Math.exp(mean);
  return { ppl, error: n > 1 ? ppl * Math.sqrt(variance / (n - 1)) : 0, n };
}
