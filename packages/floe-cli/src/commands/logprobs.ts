import { idList, numberOption, parse, readInput, utf8 } from '../arguments.ts';
import { pagingLoad, pagingOptions, pagingUsage } from '../budget.ts';
import type { Command } from '../command.ts';
import { UsageError } from '../failure.ts';
import { withModel } from '../loading.ts';
import { adaptersOf, loraOptions, loraUsage } from '../lora.ts';
import { windowLoad, windowOptions, windowUsage } from '../window.ts';

const usage = `floe logprobs MODEL.gguf --ids 1,2,3 [options]: what the model expects after each id, as JSON

  --ids LIST            token ids; no BOS is added
  --ids-file FILE       the same from a file: ids with commas or spaces between them, or a JSON array
  --top N               the N likeliest; default 20
${windowUsage}
${loraUsage}
${pagingUsage}

[{"position": 0, "top": [[id, logprob], …]}, …]: position i is the distribution of the id after ids 0…i, natural
logarithms, likeliest first. MODEL.gguf is a path, a URL or hf:OWNER/REPO/FILE.gguf;
or a folder of safetensors, as a path, a URL with a slash at its end, or hf:OWNER/REPO.
`;

/** `floe logprobs`: log-probabilities after each prefix. */
export const logprobs: Command = {
  name: 'logprobs',
  summary: 'log-probabilities after each of some ids',
  usage,
  run: async (args, context) => {
    const { values, positionals } = parse('logprobs', args, ['MODEL.gguf'], {
      ids: { type: 'string' },
      'ids-file': { type: 'string' },
      top: { type: 'string' },
      ...pagingOptions,
      ...windowOptions,
      ...loraOptions,
      json: { type: 'boolean' }, // what it does anyway
    });
    const ids = await idsOf(values.ids, values['ids-file']);
    const top = numberOption('--top', values.top, { min: 1 }) ?? 20;
    await withModel(
      positionals[0]!,
      context,
      { quiet: true, load: { ...pagingLoad(values), ...windowLoad(values) }, adapters: adaptersOf(values) },
      async (model) => {
        const answer = await model.logprobs(ids, { top, signal: context.signal });
        context.terminal.out(`${JSON.stringify(answer.map(({ position, top }) => ({ position, top })))}\n`);
      },
    );
  },
};

async function idsOf(list: string | undefined, file: string | undefined): Promise<number[]> {
  if (list !== undefined && file !== undefined)
    throw new UsageError('--ids and --ids-file are both given.', 'Give one.');
  const text = file === undefined ? list : utf8(await readInput(file), file);
  if (text === undefined || text.trim() === '') {
    throw new UsageError('`floe logprobs` needs token ids.', 'Give them with --ids 1,2,3; `floe tokenize` makes them.');
  }
  if (file === undefined) return idList('--ids', text);
  const parts = text
    .replace(/^\s*\[|\]\s*$/g, '')
    .trim()
    .split(/\s*,\s*|\s+/);
  return parts.map((id) => numberOption('An id in --ids-file', id, { min: 0 })!);
}
