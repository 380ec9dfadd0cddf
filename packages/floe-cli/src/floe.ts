/** The command line: finds the command, runs it, and tells what went wrong. */

import type { Command, Context } from './command.ts';
import { chat } from './commands/chat.ts';
import { embed } from './commands/embed.ts';
import { inspect } from './commands/inspect.ts';
import { logprobs } from './commands/logprobs.ts';
import { perplexity } from './commands/perplexity.ts';
import { plan } from './commands/plan.ts';
import { run } from './commands/run.ts';
import { tokenize } from './commands/tokenize.ts';
import { forPeople, forScripts, UsageError } from './failure.ts';

/** Every command, in the order of the help. A new one is a file and a line here. */
export const commands: readonly Command[] = [run, chat, embed, plan, inspect, tokenize, logprobs, perplexity];

/** Runs `floe` with the given arguments; returns the exit status. */
export async function floe(args: readonly string[], context: Context): Promise<number> {
  const { terminal } = context;
  try {
    const [name = 'help', ...rest] = args;
    if (['help', '--help', '-h'].includes(name)) terminal.out(help(rest[0]));
    else if (rest.includes('--help') || rest.includes('-h')) terminal.out(help(name));
    else await find(name).run(rest, context);
    return 0;
  } catch (error) {
    if (args.includes('--json')) terminal.out(forScripts(error));
    else terminal.err(forPeople(error));
    return 1;
  }
}

function find(name: string): Command {
  const command = commands.find((candidate) => candidate.name === name);
  if (!command) throw new UsageError(`There is no command \`${name}\`.`, 'See `floe help`.');
  return command;
}

function help(name: string | undefined): string {
  if (name !== undefined) return find(name).usage;
  const list = commands.map((command) => `  ${command.name.padEnd(12)}${command.summary}`).join('\n');
  return `floe COMMAND …: sparse mixture-of-experts language models on WebGPU, from their own GGUF

${list}

\`floe help COMMAND\` says more.
`;
}
