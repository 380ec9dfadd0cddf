import type { ChatCompletionChunk, ChatMessage, CompletionRequest, Model, Usage } from 'floe/node';
import { parse, samplingOptions, samplingRequest } from '../arguments.ts';
import { pagingLoad, pagingOptions, pagingUsage } from '../budget.ts';
import type { Command, Terminal } from '../command.ts';
import { UsageError } from '../failure.ts';
import { withModel } from '../loading.ts';
import { adaptersOf, loraOptions, loraUsage } from '../lora.ts';
import { traceOption, traceUsage } from '../trace.ts';
import { windowLoad, windowOptions, windowUsage } from '../window.ts';

const usage = `floe run MODEL.gguf -p PROMPT [options]: one answer, streamed to standard output

  -p, --prompt PROMPT   the question
  --system TEXT         the system message before it
  --raw                 the prompt as it is, without the chat template (what a file without one gets anyway)
  --max-tokens N        at most N tokens; default: what the context has room for
  --temperature T       0 is greedy; default 0.7, with --json 0
  --seed S              the same seed, the same answer
  --json                {"text", "ids", "finish_reason", "usage", "experts"} in the end, nothing before
${windowUsage}
${loraUsage}
${pagingUsage}
${traceUsage}

MODEL.gguf is a path, a URL or hf:OWNER/REPO/FILE.gguf;
or a folder of safetensors, as a path, a URL with a slash at its end, or hf:OWNER/REPO.
`;

/** `floe run`: asks once. */
export const run: Command = {
  name: 'run',
  summary: 'answer one prompt',
  usage,
  run: async (args, context) => {
    const { values, positionals } = parse('run', args, ['MODEL.gguf'], {
      ...samplingOptions,
      ...pagingOptions,
      ...windowOptions,
      ...loraOptions,
      ...traceOption,
      prompt: { type: 'string', short: 'p' },
      system: { type: 'string' },
      raw: { type: 'boolean' },
      json: { type: 'boolean' },
    });
    const { prompt, system, raw = false, json = false } = values;
    if (prompt === undefined) throw new UsageError('`floe run` needs a prompt.', 'Give it with -p "…".');
    if (raw && system !== undefined) throw noSystem('--raw has no system message.');
    const request = { ...(json ? { temperature: 0 } : {}), ...samplingRequest(values), signal: context.signal };

    const loading = {
      quiet: json,
      load: { ...pagingLoad(values), ...windowLoad(values) },
      adapters: adaptersOf(values),
      trace: values.trace,
    };
    await withModel(positionals[0]!, context, loading, async (model) => {
      const isChat = !raw && model.info.hasChatTemplate;
      if (!isChat && system !== undefined) throw noSystem('This model has no chat template.');
      const ask = isChat ? chatRequest(model, request, prompt, system) : textRequest(model, request, prompt);
      if (json) context.terminal.out(`${JSON.stringify({ ...(await ask.whole()), experts: await pagingOf(model) })}\n`);
      else await printStream(ask.stream(), context.terminal);
    });
  },
};

function noSystem(message: string): UsageError {
  return new UsageError(message, 'Leave out --system, or put its text into the prompt.');
}

/** What paging did while it answered, or null where the model has no experts. */
async function pagingOf(model: Model) {
  const report = await model.experts();
  if (!report) return null;
  const { hits, misses, evictions, loads, stallMs, blockingWaits, nTokens, faultedLayers, dropped, droppedMass } =
    report.counts;
  return { hits, misses, evictions, loads, stallMs, blockingWaits, nTokens, faultedLayers, dropped, droppedMass };
}

interface Answer {
  readonly text: string;
  readonly ids: readonly number[];
  readonly finish_reason: string;
  readonly usage: Usage;
}

/** One prompt, to be asked in either way. */
interface Ask {
  readonly whole: () => Promise<Answer>;
  readonly stream: () => AsyncIterable<ChatCompletionChunk>;
}

function chatRequest(model: Model, request: CompletionRequest, prompt: string, system: string | undefined): Ask {
  const messages: ChatMessage[] = [{ role: 'user', content: prompt }];
  if (system !== undefined) messages.unshift({ role: 'system', content: system });
  const { completions } = model.chat;
  return {
    whole: async () => {
      const { choices, usage } = await completions.create({ ...request, messages });
      const [{ message, ids, finish_reason }] = choices;
      return { text: message.content, ids, finish_reason, usage };
    },
    stream: () => completions.create({ ...request, messages, stream: true }),
  };
}

function textRequest(model: Model, request: CompletionRequest, prompt: string): Ask {
  return {
    whole: async () => {
      const { text, ids, finish_reason, usage } = await model.completions.create({ ...request, prompt });
      return { text, ids, finish_reason, usage };
    },
    stream: () => model.completions.create({ ...request, prompt, stream: true }),
  };
}

/** Writes an answer as it comes and returns all of it; a person also sees how fast it was. */
export async function printStream(chunks: AsyncIterable<ChatCompletionChunk>, terminal: Terminal): Promise<string> {
  let text = '';
  let usage: Usage | undefined;
  try {
    for await (const chunk of chunks) {
      const piece = chunk.choices[0].delta.content ?? '';
      text += piece;
      if (piece !== '') terminal.out(piece);
      usage = chunk.usage ?? usage;
    }
  } finally {
    // Ended or cut: what comes next starts on a line of its own.
    terminal.out('\n');
  }
  if (usage && terminal.errIsTerminal) terminal.err(`${speed(usage)}\n`);
  return text;
}

function speed({ prompt_tokens, completion_tokens, prefillMs, decodeMs }: Usage): string {
  const perSecond = decodeMs > 0 ? ((completion_tokens - 1) / decodeMs) * 1000 : 0;
  const decode = completion_tokens > 1 && perSecond > 0 ? `, then ${perSecond.toFixed(1)} tokens/s` : '';
  return `[${prompt_tokens} + ${completion_tokens} tokens; first after ${(prefillMs / 1000).toFixed(2)} s${decode}]`;
}
