import { RequestError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { Sentinels } from './sentinels.ts';
import { looksLikeMarker } from './specials.ts';
import { TemplateRunner, templateError } from './templateRunner.ts';
import type { Segment, Tokenizer } from './tokenizer.ts';
import { wellFormed } from './wellFormed.ts';

/** A message of a conversation, as templates know it. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string;
}

export interface RenderOptions {
  /** True (default): the text ends where the assistant's answer begins. */
  readonly addGenerationPrompt?: boolean;
  /** Further variables some templates know, like `enable_thinking`. Plain data, from the application, not its users. */
  readonly variables?: Readonly<Record<string, string | number | boolean | null>>;
  readonly signal?: AbortSignal;
}

/** Roles become part of the frame, so they can't be free text. */
const ROLE = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

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
    const contents = messages.map(({ content }) => wellFormed(content));
    const variables = this.#variables(options);
    const sentinels = new Sentinels(this.source + JSON.stringify(variables), contents);
    const context = (content: (index: number) => string) => ({
      ...variables,
      messages: messages.map(({ role }, index) => ({ role, content: content(index) })),
    });
    const contexts = [context((index) => contents[index] ?? ''), context((index) => sentinels.placeholder(index))];
    const [real = '', marked = ''] = await this.#runner.run(this.source, contexts, options.signal);

    const segments = sentinels.cut(marked);
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

  #variables({ addGenerationPrompt = true, variables = {} }: RenderOptions): Readonly<Record<string, unknown>> {
    const { tokens, bosId, eosId } = this.#tokenizer.vocabulary;
    return {
      // Null, not absent, as in the library templates are written for: some ask `tools is not none`.
      tools: null,
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
    const { tokens } = this.#tokenizer.vocabulary;
    const marker = (id: number) =>
      this.#tokenizer.isControl(id) || written.includes(id) || looksLikeMarker(tokens[id] ?? '');
    if (contents.some((content) => this.#tokenizer.specialsIn(content).some(marker))) return false;
    const found = this.#tokenizer.specialsIn(real).filter(marker);
    return found.length === written.length && found.every((id, i) => id === written[i]);
  }
}

/** The ids of a rendered conversation, as llama.cpp gives them for its whole text. No BOS is added: templates write it. */
export function tokenizeChat(tokenizer: Tokenizer, segments: readonly Segment[]): number[] {
  return tokenizer.tokenizeSegments(segments);
}

function checkMessages(messages: readonly TemplateMessage[]): void {
  const problem = (index: number, what: string, details: Readonly<Record<string, string | number>>) =>
    new RequestError('request/invalid', `Message ${index} ${what}.`, {
      remedy: "Each message needs a `role` like 'user' and a `content` that is a string.",
      details: { index, ...details },
    });
  for (const [index, { role, content }] of messages.entries()) {
    if (typeof content !== 'string') throw problem(index, `has a content of type ${typeof content}`, {});
    if (!ROLE.test(role))
      throw problem(index, `has the role ${JSON.stringify(role)}, which is no plain word`, { role });
  }
}
