/** OpenAI's completions: what is asked, and what is answered. */
import type { Json, TemplateMessage, TemplateToolCall } from '../text/index.ts';

export type { Json };

/** A message of a conversation. What its model's template does not know of it is not written. */
export type ChatMessage = TemplateMessage;
/** What an assistant's message called. */
export type ToolCall = TemplateToolCall;

/** A function the model may call. */
export type Tool = {
  readonly type: 'function';
  readonly function: {
    readonly name: string;
    readonly description?: string;
    /** A JSON schema of its arguments. */
    readonly parameters?: { readonly [key: string]: Json };
    readonly strict?: boolean;
  };
};

export interface SamplingOptions {
  /** 0 is greedy. Default 0.7 in chat completions. */
  readonly temperature?: number;
  /** Keep the k likeliest; 0 keeps all (up to 1024). */
  readonly top_k?: number;
  /** Keep the likeliest that together reach this probability. */
  readonly top_p?: number;
  /** Keep those at least this share as likely as the likeliest. */
  readonly min_p?: number;
  /** The same seed, model and prompt give the same answer on the same device. */
  readonly seed?: number;
}

export interface CompletionRequest extends SamplingOptions {
  /** Default: what the window has room for; where it slides, no limit. */
  readonly max_tokens?: number;
  /** Text that ends the answer and is not part of it; found across token borders too. */
  readonly stop?: string | readonly string[];
  readonly signal?: AbortSignal;
  /**
   * Saves the conversation in the origin's storage under this name, as it grows and at its end: a reload, or a crash in
   * the middle, costs nothing of it. `conversations.resume` goes on with an answer that was cut off; a next turn under the
   * same name finds what was computed. A save that fails ends no answer: `memory().notices` says so.
   */
  readonly save?: string;
}

export interface ChatCompletionRequest extends CompletionRequest {
  readonly messages: readonly ChatMessage[];
  /** What the model may call. Its calls are part of the answer's text, in the form it was trained to write. */
  readonly tools?: readonly Tool[];
  /** 'auto' (default): the model decides. 'none': it hears of no tools. */
  readonly tool_choice?: 'auto' | 'none';
  /** How much a model that knows of it should reason (gpt-oss). */
  readonly reasoning_effort?: 'low' | 'medium' | 'high';
  /** What else the model's template knows: `{ enable_thinking: false }` (Qwen 3). The application's own, never its users'. */
  readonly chat_template_kwargs?: Readonly<Record<string, string | number | boolean | null>>;
}

/** A completion of plain text, without a chat template. */
export interface TextCompletionRequest extends CompletionRequest {
  readonly prompt: string;
}

/** 'stop': an end token or a stop string; 'length': max_tokens or a window that does not slide is used up. */
export type FinishReason = 'stop' | 'length';

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  /** Of prompt and answer: tokens that slid out of the window. */
  readonly droppedTokens: number;
  /** Of the prompt: tokens that were in the cache already, and were not computed again. */
  readonly cachedTokens: number;
  /** Milliseconds from the call to the first token, and from it to the last. */
  readonly prefillMs: number;
  readonly decodeMs: number;
}

export interface ChatCompletionChunk {
  readonly id: string;
  readonly object: 'chat.completion.chunk';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly [
    {
      readonly index: 0;
      readonly delta: { readonly role?: 'assistant'; readonly content?: string; readonly reasoning_content?: string };
      readonly finish_reason: FinishReason | null;
    },
  ];
  /** In the last chunk. */
  readonly usage?: Usage;
}

export interface ChatCompletion {
  readonly id: string;
  readonly object: 'chat.completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly [
    {
      readonly index: 0;
      /** `reasoning_content` comes of models that mark it: gpt-oss's channels, `<think>`. Others write it into the text. */
      readonly message: { readonly role: 'assistant'; readonly content: string; readonly reasoning_content?: string };
      readonly finish_reason: FinishReason;
      /** The sampled ids, the end token not among them. */
      readonly ids: readonly number[];
    },
  ];
  readonly usage: Usage;
}

export interface TextCompletion {
  readonly text: string;
  readonly ids: readonly number[];
  readonly finish_reason: FinishReason;
  readonly usage: Usage;
}
