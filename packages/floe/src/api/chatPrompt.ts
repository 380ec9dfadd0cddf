import { TextError } from '../errors/index.ts';
import { type ChatTemplate, type RenderOptions, type Tokenizer, tokenizeChat } from '../text/index.ts';
import { checkMessages, invalid, toolsOf } from './check.ts';
import type { ChatCompletionRequest } from './types.ts';

/** What of a model turns a conversation into ids. */
export interface ChatParts {
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate | null;
}

/** The ids of a conversation as the model's template writes it, up to where its answer begins; of a content `ownIds` knows, those. */
export async function chatPrompt(
  { tokenizer, template }: ChatParts,
  model: string,
  request: ChatCompletionRequest,
  ownIds?: (content: string) => readonly number[] | undefined,
): Promise<number[]> {
  checkMessages(request.messages);
  if (!template) {
    throw new TextError('text/template', `${model} has no chat template: it was not made for conversations.`, {
      remedy: 'Use `model.completions.create({ prompt })`, or take an instruct version of the model.',
    });
  }
  const segments = await template.render(request.messages, renderOptions(request));
  return tokenizeChat(tokenizer, segments, ownIds);
}

function renderOptions(request: ChatCompletionRequest): RenderOptions {
  const { reasoning_effort, chat_template_kwargs, signal } = request;
  if (reasoning_effort !== undefined && !['low', 'medium', 'high'].includes(reasoning_effort))
    throw invalid('reasoning_effort', JSON.stringify(reasoning_effort), "'low', 'medium' or 'high'");
  return {
    tools: toolsOf(request),
    variables: { ...(reasoning_effort === undefined ? {} : { reasoning_effort }), ...chat_template_kwargs },
    ...(signal ? { signal } : {}),
  };
}
