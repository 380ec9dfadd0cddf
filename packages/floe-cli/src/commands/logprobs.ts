import { numberOption, parse } from '../arguments.ts';
import { pagingLoad, pagingOptions, pagingUsage } from '../budget.ts';
import type { Command } from '../command.ts';
import { UsageError } from '../failure.ts';
import { withModel } from '../loading.ts';

const usage = `floe logprobs MODEL.gguf --ids 1,2,3 [options]: what the model expects after each id, as JSON

  --ids LIST            token ids; no BOS is added
  --top N               the N likeliest; default 20
${pagingUsage}

[{"position": 0, "top": [[id, logprob], …]}, …]: position i is the distribution of the id after ids 0…i, natural
logarithms, likeliest first. MODEL.gguf is a path, a URL or hf:OWNER/REPO/FILE.gguf.
`;

/** `floe logprobs`: log-probabilities after each prefix. */
export const logprobs: Command = {
  name: 'logprobs',
  summary: 'log-probabilities after each of some ids',
  usage,
  run: async (args, context) => {
    const { values, positionals } = parse('logprobs', args, ['MODEL.gguf'], {
      ids: { type: 'string' },
      top: { type: 'string' },
      ...pagingOptions,
      json: { type: 'boolean' }, // what it does anyway
    });
    const ids = idList(values.ids);
    const top = numberOption('--top', values.top, { min: 1 }) ?? 20;
    await withModel(positionals[0]!, context, { quiet: true, load: pagingLoad(values) }, async (model) => {
      const answer = await model.logprobs(ids, { top, signal: context.signal });
      context.terminal.out(`${JSON.stringify(answer.map(({ position, top }) => ({ position, top })))}\n`);
    });
  },
};

function idList(text: string | undefined): number[] {
  if (text === undefined || text.trim() === '') {
    throw new UsageError('`floe logprobs` needs token ids.', 'Give them with --ids 1,2,3; `floe tokenize` makes them.');
  }
  return text.split(',').map((id) => numberOption('An id in --ids', id, { min: 0 })!);
}
