import type { ChatMessage, Model } from 'floe/node';
import { parse, samplingOptions, samplingRequest } from '../arguments.ts';
import { pagingLoad, pagingOptions, pagingUsage } from '../budget.ts';
import type { Command, Context } from '../command.ts';
import { asTyped, forPeople, UsageError } from '../failure.ts';
import { withModel } from '../loading.ts';
import { adaptersOf, loraOptions, loraUsage } from '../lora.ts';
import { windowLoad, windowOptions, windowUsage } from '../window.ts';
import { printStream } from './run.ts';

const usage = `floe chat MODEL.gguf [options]: a conversation, a line at a time

  --system TEXT         the system message it starts with
  --max-tokens N        at most N tokens in an answer
  --temperature T       0 is greedy; default 0.7
  --seed S              the same seed, the same answers
${windowUsage}
${loraUsage}
${pagingUsage}

Ctrl-C stops an answer, and leaves where there is none to stop. /clear starts again, /exit leaves.
MODEL.gguf is a path, a URL or hf:OWNER/REPO/FILE.gguf;
or a folder of safetensors, as a path, a URL with a slash at its end, or hf:OWNER/REPO.
`;

/** `floe chat`: asks until standard input ends. */
export const chat: Command = {
  name: 'chat',
  summary: 'a conversation',
  usage,
  run: async (args, context) => {
    const { values, positionals } = parse('chat', args, ['MODEL.gguf'], {
      ...samplingOptions,
      ...pagingOptions,
      ...windowOptions,
      ...loraOptions,
      system: { type: 'string' },
    });
    const sampling = samplingRequest(values);
    const opening: ChatMessage[] = values.system === undefined ? [] : [{ role: 'system', content: values.system }];
    await withModel(
      positionals[0]!,
      context,
      { quiet: false, load: { ...pagingLoad(values), ...windowLoad(values) }, adapters: adaptersOf(values) },
      async (model) => {
        if (!model.info.hasChatTemplate) {
          throw new UsageError('This model has no chat template.', 'Use `floe run --raw`, which goes on with a text.');
        }
        await converse(model, context, opening, sampling);
      },
    );
  },
};

type Sampling = ReturnType<typeof samplingRequest>;

async function converse(model: Model, context: Context, opening: readonly ChatMessage[], sampling: Sampling) {
  const { terminal } = context;
  let messages = [...opening];
  let answer: AbortController | null = null;
  const interrupt = (): void => (answer ? answer.abort() : lines.close());
  const lines = terminal.openLines(interrupt);
  context.signal.addEventListener('abort', interrupt);
  try {
    for (;;) {
      const line = (await lines.next('> '))?.trim();
      if (line === undefined || line === '/exit') return;
      if (line === '/clear') messages = [...opening];
      if (line === '' || line === '/clear') continue;
      const turn: ChatMessage[] = [...messages, { role: 'user', content: line }];
      answer = new AbortController();
      try {
        const request = { ...sampling, messages: turn, signal: answer.signal, stream: true } as const;
        const content = await printStream(model.chat.completions.create(request), terminal);
        messages = [...turn, { role: 'assistant', content }];
      } catch (error) {
        // The conversation stands as it was before this question.
        if (isOver(error)) throw error;
        terminal.err(forPeople(error));
      } finally {
        answer = null;
      }
      if (context.signal.aborted) return;
    }
  } finally {
    context.signal.removeEventListener('abort', interrupt);
    lines.close();
  }
}

/** True where asking again can't help: the device or the worker is gone, or there is a bug. */
function isOver(error: unknown): boolean {
  return /^(gpu|worker|internal|numeric)\b/.test(asTyped(error).code);
}
