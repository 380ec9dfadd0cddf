import { RequestError, TextError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { Sentinels } from './sentinels.ts';
import { looksLikeMarker } from './specials.ts';
import {
  type ArgumentsAs,
  checkMessages,
  type Json,
  keysOf,
  messagesWith,
  type TemplateMessage,
} from './templateMessages.ts';
import { TemplateRunner, templateError } from './templateRunner.ts';
import type { Segment, Tokenizer } from './tokenizer.ts';

export interface RenderOptions {
  /** True (default): the text ends where the assistant's answer begins. */
  readonly addGenerationPrompt?: boolean;
  /** Further variables some templates know, like `enable_thinking`. Plain data, from the application, not its users. */
  readonly variables?: Readonly<Record<string, string | number | boolean | null>>;
  /** Tools the model may call, as the OpenAI API has them: `{ type: 'function', function: { name, … } }`. */
  readonly tools?: readonly Json[];
  readonly signal?: AbortSignal;
}

/** A model's own chat template (Jinja, from the GGUF), run at a distance and never able to confuse who said what. */
export class ChatTemplate {
  readonly source: string;
  readonly #tokenizer: Tokenizer;
  readonly #runner: TemplateRunner;

  private constructor(source: string, tokenizer: Tokenizer, runner: TemplateRunner) {
    this.source = source;
    this.#tokenizer = tokenizer;
    this.#runner = runner;
  }

  /** The template of the tokenizer's vocabulary; null where the file has none. */
  static of(tokenizer: Tokenizer, host: Pick<Host, 'clock' | 'startTemplateWorker'>): ChatTemplate | null {
    const source = tokenizer.vocabulary.chatTemplate;
    return source === null ? null : new ChatTemplate(source, tokenizer, new TemplateRunner(host));
  }

  /**
   * Renders a conversation. What the messages say comes back as 'content', which is tokenized as text: a message
   * holding `<|im_end|>` ends nothing.
   *
   * The template is rendered twice, with the messages and with stand-ins for them. Where it does more with a message
   * than write or trim it (cuts out what a model thought, say), the two differ: then the real text is used, as long
   * as no message holds a marker and no marker came or went by what a message says. Else each message is written as
   * it is, in the place where its stand-in came out.
   *
   * @throws {TextError} `text/template`: it is no Jinja we know, objects to the messages, or takes apart one that
   *   holds a marker. `text/template-timeout`: it did not end.
   */
  async render(messages: readonly TemplateMessage[], options: RenderOptions = {}): Promise<Segment[]> {
    checkMessages(messages);
    this.#checkFrame(messages, options);
    const withObjects = await this.#render(messages, 'object', options).catch((error: unknown) => {
      if (hasArguments(messages) && error instanceof TextError && error.code === 'text/template') return null;
      throw error;
    });
    // It added them to a string, which a language without types makes that of.
    const isWrong = withObjects === null || (hasArguments(messages) && withObjects.real.includes('[object '));
    const { contents, sentinels, real, marked } = isWrong
      ? await this.#render(messages, 'string', options)
      : withObjects;

    const segments = sentinels.cut(marked, real);
    if (segments.map(({ text }) => text).join('') === real) return segments;
    if (this.#canTell(contents, real, marked)) return [{ kind: 'frame', text: real }];
    const broken = sentinels.brokenIn(segments);
    if (broken) throw templateError('This chat template takes messages apart, and one holds what could be a marker.');
    return segments;
  }

  /** Ends the template's worker. */
  dispose(): void {
    this.#runner.dispose();
  }

  /** The template's text for the messages, and for the stand-ins of all that is written in them. */
  async #render(messages: readonly TemplateMessage[], argumentsAs: ArgumentsAs, options: RenderOptions) {
    const variables = this.#variables(options);
    const contents: string[] = [];
    const real = messagesWith(messages, argumentsAs, (text) => {
      contents.push(text);
      return text;
    });
    const surroundings = this.source + JSON.stringify([variables, messages]);
    const sentinels = new Sentinels(surroundings, contents);
    let index = 0;
    const marked = messagesWith(messages, argumentsAs, () => sentinels.placeholder(index++));
    const contexts = [real, marked].map((messages) => ({ ...variables, messages }));
    const [realText = '', markedText = ''] = await this.#runner.run(this.source, contexts, options.signal);
    return { contents, sentinels, real: realText, marked: markedText };
  }

  /** What the template writes of tools and of arguments' names is frame: it may not hold what only a frame may. */
  #checkFrame(messages: readonly TemplateMessage[], { tools = [] }: RenderOptions): void {
    const text = JSON.stringify(tools) + keysOf(messages).join('\n');
    const [id] = this.#tokenizer.specialsIn(text).filter((special) => this.#isMarker(special));
    if (id === undefined) return;
    const token = this.#tokenizer.vocabulary.tokens[id] ?? '';
    throw new RequestError('request/invalid', `A tool, or the name of an argument, has the marker '${token}' in it.`, {
      remedy: 'Write it in another way: the model would take it for the end of a message, or the like.',
      details: { token },
    });
  }

  #isMarker(id: number): boolean {
    return this.#tokenizer.isControl(id) || looksLikeMarker(this.#tokenizer.vocabulary.tokens[id] ?? '');
  }

  #variables({ addGenerationPrompt = true, variables = {}, tools }: RenderOptions): Readonly<Record<string, unknown>> {
    const { tokens, bosId, eosId } = this.#tokenizer.vocabulary;
    return {
      // Null, not absent, as in the library templates are written for: some ask `tools is not none`.
      tools: tools?.length ? tools : null,
      documents: null,
      ...variables,
      add_generation_prompt: addGenerationPrompt,
      bos_token: tokens[bosId ?? -1] ?? '',
      eos_token: tokens[eosId ?? -1] ?? '',
    };
  }

  /** Whether the real text, tokenized as one frame, surely has the special tokens the template wrote and no others. */
  #canTell(contents: readonly string[], real: string, marked: string): boolean {
    const written = this.#tokenizer.specialsIn(marked);
    const marker = (id: number) => written.includes(id) || this.#isMarker(id);
    if (contents.some((content) => this.#tokenizer.specialsIn(content).some(marker))) return false;
    const found = this.#tokenizer.specialsIn(real).filter(marker);
    return found.length === written.length && found.every((id, i) => id === written[i]);
  }
}

/**
 * The ids of a rendered conversation, as llama.cpp gives them for its whole text; but of a content that `ownIds` knows, those.
 * No BOS is added: templates write it.
 */
export function tokenizeChat(
  tokenizer: Tokenizer,
  segments: readonly Segment[],
  ownIds: (content: string) => readonly number[] | undefined = () => undefined,
): number[] {
  const parts: (readonly number[])[] = [];
  let from = 0;
  for (const [i, { kind, text }] of segments.entries()) {
    const own = kind === 'content' ? ownIds(text) : undefined;
    if (!own) continue;
    parts.push(tokenizer.tokenizeSegments(segments.slice(from, i)), own);
    from = i + 1;
  }
  return [...parts, tokenizer.tokenizeSegments(segments.slice(from))].flat();
}

function hasArguments(messages: readonly TemplateMessage[]): boolean {
  return messages.some(({ tool_calls = [] }) => tool_calls.length > 0);
}
