import { RequestError } from '../errors/index.ts';
import { wellFormed } from './wellFormed.ts';

/** What JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** A message of a conversation, as templates know it. */
export interface TemplateMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool' | (string & {});
  /** Null where an assistant only calls tools. */
  readonly content: string | null;
  /** What an assistant thought before it answered. */
  readonly reasoning_content?: string;
  /** What an assistant called. */
  readonly tool_calls?: readonly TemplateToolCall[];
  /** Of a tool's answer: the call's id, and the tool's name. */
  readonly tool_call_id?: string;
  readonly name?: string;
}

export interface TemplateToolCall {
  readonly id?: string;
  readonly type?: 'function';
  readonly function: {
    readonly name: string;
    /** An object, or one as JSON: models write text. */
    readonly arguments: string | { readonly [key: string]: Json };
  };
}

/** Some templates write arguments as they write any object, some add them to a string. */
export type ArgumentsAs = 'object' | 'string';

/** Roles become part of the frame, so they can't be free text; no more can names and ids. */
const ROLE = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const NAME = /^[A-Za-z0-9_.:-]{1,128}$/;

/** Throws `request/invalid` for a message that no template can be given. */
export function checkMessages(messages: readonly TemplateMessage[]): void {
  const problem = (index: number, what: string, details: Readonly<Record<string, string | number>>) =>
    new RequestError('request/invalid', `Message ${index} ${what}.`, {
      remedy:
        "Each message needs a `role` like 'user' and a `content` that is a string; names and ids are plain words.",
      details: { index, ...details },
    });
  for (const [index, message] of messages.entries()) {
    const { role, content, reasoning_content, tool_calls = [], tool_call_id, name } = message;
    const mayLackContent = tool_calls.length > 0 && (content ?? null) === null;
    if (typeof content !== 'string' && !mayLackContent)
      throw problem(index, `has a content of type ${typeof content}`, {});
    if (typeof (reasoning_content ?? '') !== 'string')
      throw problem(index, 'has a reasoning_content that is no string', {});
    if (!ROLE.test(role))
      throw problem(index, `has the role ${JSON.stringify(role)}, which is no plain word`, { role });
    const calls = tool_calls.flatMap((call) => [call.id, call.function?.name ?? '']);
    for (const word of [tool_call_id, name, ...calls]) {
      if (word === undefined || NAME.test(word)) continue;
      throw problem(index, `has the name or id ${JSON.stringify(word)}, which is no plain word`, {
        name: String(word),
      });
    }
    for (const call of tool_calls) {
      if (argumentsOf(call) === null) throw problem(index, 'has arguments of a tool that are no JSON object', {});
    }
  }
}

/**
 * The messages as a template is given them, every text that somebody wrote into them replaced by what `put` makes of
 * it: contents, thoughts, the strings in arguments. Called with the same messages, `put` hears the same texts in the
 * same order.
 */
export function messagesWith(
  messages: readonly TemplateMessage[],
  argumentsAs: ArgumentsAs,
  put: (text: string) => string,
): Readonly<Record<string, unknown>>[] {
  return messages.map(({ role, content, reasoning_content, tool_calls, tool_call_id, name }) => ({
    role,
    content: typeof content === 'string' ? put(wellFormed(content)) : null,
    ...(reasoning_content === undefined ? {} : { reasoning_content: put(wellFormed(reasoning_content)) }),
    ...(tool_calls?.length ? { tool_calls: tool_calls.map((call) => toolCallWith(call, argumentsAs, put)) } : {}),
    ...(tool_call_id === undefined ? {} : { tool_call_id }),
    ...(name === undefined ? {} : { name }),
  }));
}

function toolCallWith(call: TemplateToolCall, argumentsAs: ArgumentsAs, put: (text: string) => string) {
  const { id, function: called } = call;
  const given = called.arguments;
  const text = typeof given === 'string' ? given : JSON.stringify(given);
  const args = argumentsAs === 'string' ? put(wellFormed(text)) : jsonWith(argumentsOf(call)!, put);
  return { ...(id === undefined ? {} : { id }), type: 'function', function: { name: called.name, arguments: args } };
}

/** Null where they are no object. */
function argumentsOf({ function: called }: TemplateToolCall): { readonly [key: string]: Json } | null {
  let value: unknown = called?.arguments;
  if (typeof value === 'string') {
    try {
      value = value.trim() === '' ? {} : JSON.parse(value);
    } catch {
      return null;
    }
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as { [key: string]: Json })
    : null;
}

function jsonWith(value: Json, put: (text: string) => string): Json {
  if (typeof value === 'string') return put(wellFormed(value));
  if (Array.isArray(value)) return value.map((item: Json) => jsonWith(item, put));
  if (typeof value !== 'object' || value === null) return value;
  // A key is kept as it is: `keysOf` has them looked at.
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, jsonWith(item as Json, put)]));
}

/** All that stays in the frame beside the template's own text: the keys of arguments. */
export function keysOf(messages: readonly TemplateMessage[]): string[] {
  const keys: string[] = [];
  const walk = (value: Json): void => {
    if (typeof value !== 'object' || value === null) return;
    if (!Array.isArray(value)) keys.push(...Object.keys(value));
    for (const item of Object.values(value)) walk(item as Json);
  };
  for (const { tool_calls = [] } of messages) for (const call of tool_calls) walk(argumentsOf(call) ?? {});
  return keys;
}
