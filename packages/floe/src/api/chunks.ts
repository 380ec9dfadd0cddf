/** The parts of an answer in OpenAI's shapes. */
import { InternalError } from '../errors/index.ts';
import type { AnswerPart } from '../generate/index.ts';
import type { ChatCompletion, ChatCompletionChunk, FinishReason, TextCompletion, Usage } from './types.ts';

/** What each chunk of an answer repeats. */
export interface AnswerHead {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

type Parts = AsyncIterable<AnswerPart & { nPrompt: number }>;

export async function* streamOf(head: AnswerHead, parts: Parts): AsyncGenerator<ChatCompletionChunk> {
  const chunk = (
    delta: ChatCompletionChunk['choices'][0]['delta'],
    finish_reason: FinishReason | null = null,
    usage?: Usage,
  ): ChatCompletionChunk => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason }],
    ...(usage ? { usage } : {}),
  });
  let first = true;
  for await (const part of parts) {
    if (first) yield chunk({ role: 'assistant' });
    first = false;
    if (part.kind === 'text') yield chunk({ content: part.text });
    else if (part.kind === 'reasoning') yield chunk({ reasoning_content: part.text });
    else yield chunk({}, part.reason, usageOf(part));
  }
}

export async function collectChat(head: AnswerHead, parts: Parts): Promise<ChatCompletion> {
  const { text, reasoning, ids, finish_reason, usage } = await collect(parts);
  const message = {
    role: 'assistant',
    content: text,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
  } as const;
  return { ...head, object: 'chat.completion', choices: [{ index: 0, message, finish_reason, ids }], usage };
}

export async function collectText(parts: Parts): Promise<TextCompletion> {
  const { reasoning: _, ...completion } = await collect(parts);
  return completion;
}

async function collect(parts: Parts): Promise<TextCompletion & { readonly reasoning: string }> {
  let [text, reasoning] = ['', ''];
  for await (const part of parts) {
    if (part.kind === 'text') text += part.text;
    else if (part.kind === 'reasoning') reasoning += part.text;
    else return { text, reasoning, ids: part.ids, finish_reason: part.reason, usage: usageOf(part) };
  }
  throw new InternalError('an answer ended without its last part');
}

function usageOf(part: Extract<AnswerPart, { kind: 'done' }> & { nPrompt: number }): Usage {
  const { nPrompt, ids, prefillMs, decodeMs, droppedTokens, cachedTokens } = part;
  return {
    prompt_tokens: nPrompt,
    completion_tokens: ids.length,
    total_tokens: nPrompt + ids.length,
    prefillMs,
    decodeMs,
    droppedTokens,
    cachedTokens,
  };
}
