/** A request's arguments, checked as strictly as a file's numbers: what can't be, says so before anything runs. */
import { RequestError } from '../errors/index.ts';
import type { Picking } from '../generate/index.ts';
import type { ChatCompletionRequest, CompletionRequest, Tool } from './types.ts';

/** Sampling as the runner wants it. OpenAI's default temperature is 1; small models answer better at 0.7. */
export function pickingOf(request: CompletionRequest): Picking {
  const temperature = inRange(request, 'temperature', 0, 100) ?? 0.7;
  // Checked for greedy answers too: a wrong number is a mistake whether or not it matters this time.
  const topK = whole(request, 'top_k', 0, 1 << 24) ?? 0;
  const topP = inRange(request, 'top_p', 0, 1) ?? 1;
  const minP = inRange(request, 'min_p', 0, 1) ?? 0;
  return temperature === 0 ? { kind: 'greedy' } : { kind: 'sample', temperature, topK, topP, minP };
}

export function maxTokensOf(request: CompletionRequest): number | undefined {
  return whole(request, 'max_tokens', 1, Number.MAX_SAFE_INTEGER);
}

export function seedOf(request: CompletionRequest, random: () => number): number {
  return whole(request, 'seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) ?? Math.floor(random() * 2 ** 32);
}

export function stopsOf({ stop }: CompletionRequest): readonly string[] {
  const stops = stop === undefined ? [] : typeof stop === 'string' ? [stop] : stop;
  if (!stops.every((text) => typeof text === 'string' && text !== ''))
    throw invalid('stop', JSON.stringify(stop), 'strings that are not empty');
  return stops;
}

/** A prompt's own ids: what they were made of is the argument to correct. */
export function checkPrompt(ids: readonly number[], nVocab: number): void {
  if (ids.length === 0) throw invalid('prompt', 'empty', 'a text of at least one token');
  checkIds(ids, nVocab);
}

export function checkMessages(messages: unknown): void {
  const sound =
    Array.isArray(messages) &&
    messages.length > 0 &&
    messages.every((message) => typeof message === 'object' && message !== null && typeof message.role === 'string');
  if (!sound) throw invalid('messages', JSON.stringify(messages), 'a list of at least one { role, content }');
}

/** What the template is told of; none where the request keeps them from the model. */
export function toolsOf({ tools = [], tool_choice = 'auto' }: ChatCompletionRequest): readonly Tool[] {
  const isTool = (tool: Tool) => tool?.type === 'function' && typeof tool.function?.name === 'string';
  if (!Array.isArray(tools) || !tools.every(isTool))
    throw invalid('tools', JSON.stringify(tools), "a list of { type: 'function', function: { name, … } }");
  if (tool_choice !== 'auto' && tool_choice !== 'none')
    throw invalid('tool_choice', JSON.stringify(tool_choice), "'auto' or 'none': a call can't be forced");
  return tool_choice === 'none' ? [] : tools;
}

/** Ids a model has. */
export function checkIds(ids: readonly number[], nVocab: number): void {
  if (!Array.isArray(ids)) throw invalid('ids', typeof ids, 'an array of ids');
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= nVocab);
  if (wrong !== undefined) throw invalid('ids', String(wrong), `whole numbers from 0 to ${nVocab - 1}`);
}

type NumberKey = 'temperature' | 'top_k' | 'top_p' | 'min_p' | 'max_tokens' | 'seed';

function inRange(request: CompletionRequest, key: NumberKey, min: number, max: number): number | undefined {
  const value = request[key];
  if (value === undefined || (typeof value === 'number' && value >= min && value <= max)) return value;
  throw invalid(key, String(value), `a number from ${min} to ${max}`);
}

function whole(request: CompletionRequest, key: NumberKey, min: number, max: number): number | undefined {
  const value = inRange(request, key, min, max);
  if (value !== undefined && !Number.isInteger(value)) throw invalid(key, String(value), 'a whole number');
  return value;
}

/** Of a call that writes, on a model that was made for vectors. */
export function onlyEmbeds(name: string): RequestError {
  return new RequestError('request/unsupported', `${name} makes vectors of texts, and writes none.`, {
    remedy: 'Call `model.embeddings.create({ input })`, or load a language model.',
    details: { model: name },
  });
}

/** Of the contrary. */
export function onlyWrites(name: string): RequestError {
  return new RequestError('request/unsupported', `${name} makes no vectors of texts: its file names no pooling.`, {
    remedy: 'Load an embedding model, Arctic Embed for one, or call `model.chat.completions.create({ messages })`.',
    details: { model: name },
  });
}

export function invalid(argument: string, found: string, expected: string): RequestError {
  return new RequestError('request/invalid', `\`${argument}\` is ${found}; it should be ${expected}.`, {
    remedy: 'Correct the argument.',
    details: { argument, found, expected },
  });
}
