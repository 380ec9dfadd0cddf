/** One question and its answer, as it grows. */
import { codeBlock } from './codeBlock.ts';
import { button, el } from './dom.ts';
import { errorBox, shown } from './errors.ts';
import { digits, duration } from './format.ts';
import { markdown } from './markdown.ts';
import type { AnswerEnd } from './session.ts';
import { isSql, unknownNames } from './sql.ts';

export class Answer {
  readonly element: HTMLElement;
  readonly #body = el('div', { class: 'answer-body', testid: 'message-assistant' });
  readonly #foot = el('p', { class: 'answer-foot' });
  #askedAt = performance.now();
  #firstAt = 0;
  #nChunks = 0;
  #frame = 0;
  #text = '';

  /** `schema` is what the names of a statement are held against; null where there are no tables. */
  constructor(
    question: string,
    private readonly schema: string | null,
  ) {
    this.wait();
    this.element = el(
      'article',
      { class: 'turn', testid: 'turn' },
      el('p', { class: 'asked', testid: 'message-user' }, question),
      this.#body,
      this.#foot,
    );
  }

  get text(): string {
    return this.#text;
  }

  /** From now on its text is waited for. */
  wait(): void {
    this.#askedAt = performance.now();
    this.#body.replaceChildren(el('span', { class: 'waiting', testid: 'waiting' }, 'Reading the question'));
  }

  /** Shows what an earlier visit had for an answer. */
  restore(text: string): void {
    this.#text = text;
    this.#draw(true);
  }

  /** Says that the page was closed before the answer was over; with `onGoOn` where it can be gone on with. */
  interrupted(onGoOn: (() => void) | null): void {
    const goOn = onGoOn ? [button('Go on where it was', { testid: 'go-on', onclick: onGoOn })] : [];
    this.#body.replaceChildren(
      el('span', { class: 'waiting', testid: 'interrupted' }, 'The page was closed in the middle of this answer.'),
      ...goOn,
    );
  }

  add(text: string): void {
    if (this.#firstAt === 0) this.#firstAt = performance.now();
    this.#nChunks++;
    this.#text += text;
    // Drawn once a frame, however fast the tokens come.
    this.#frame ||= requestAnimationFrame(() => this.#draw(false));
  }

  end({ finishReason, usage, window }: AnswerEnd): void {
    this.#draw(true);
    if (this.#text === '') this.#body.replaceChildren(el('span', { class: 'waiting' }, 'No answer'));
    const firstMs = usage?.prefillMs ?? (this.#firstAt > 0 ? this.#firstAt - this.#askedAt : 0);
    const decodeMs = usage?.decodeMs ?? performance.now() - this.#firstAt;
    const nTokens = usage?.completion_tokens ?? this.#nChunks;
    const stats = el('span', { testid: 'answer-stats' });
    if (firstMs > 0) stats.append(el('span', { testid: 'first-token' }, `first token after ${duration(firstMs)}`));
    // The first token belongs to the reading of the question, so the rate is that of the others.
    if (nTokens > 1 && decodeMs > 0) {
      stats.append(' · ', el('span', { testid: 'rate' }, `${digits(((nTokens - 1) * 1000) / decodeMs)} tokens/s`));
    }
    if (usage) stats.append(' · read ', el('span', { testid: 'prompt-tokens' }, String(usage.prompt_tokens)));
    if (nTokens > 0) stats.append(`${usage ? ',' : ' ·'} wrote ${nTokens} ${nTokens === 1 ? 'token' : 'tokens'}`);
    if (usage) {
      const inWindow = Math.min(usage.total_tokens, window);
      stats.append(' · ', el('span', { testid: 'window' }, `window ${inWindow} of ${window}`));
    }
    this.#foot.append(stats);
    if (usage && usage.droppedTokens > 0) this.#foot.append(slidOut(usage.droppedTokens));
    if (finishReason === 'stopped') this.#foot.append(el('span', { class: 'mark', testid: 'stopped' }, 'stopped'));
    if (finishReason === 'length')
      this.#foot.append(el('span', { class: 'mark', testid: 'cut' }, 'cut: no room for more'));
  }

  fail(thrown: unknown): void {
    this.#draw(true);
    if (this.#text === '') this.#body.replaceChildren();
    this.#foot.replaceWith(errorBox(shown(thrown)));
  }

  #draw(finished: boolean): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#text === '') return;
    if (!isSql(this.#text)) {
      this.#body.replaceChildren(markdown(this.#text));
      return;
    }
    const sql = this.#text.trim();
    // A name is judged when it is whole.
    const unknown = finished && this.schema !== null ? unknownNames(sql, this.schema) : [];
    this.#body.replaceChildren(codeBlock(sql, unknown));
    if (unknown.length > 0) this.#body.append(warning(unknown));
  }
}

/** The chat goes on; what was said longest ago is forgotten. */
function slidOut(nTokens: number): HTMLElement {
  return el(
    'span',
    {
      class: 'mark',
      testid: 'slid-out',
      title: 'The model sees so many tokens at once, and the first few. What lies between has slid out of its sight.',
    },
    `${nTokens} ${nTokens === 1 ? 'token has' : 'tokens have'} slid out`,
  );
}

function warning(unknown: readonly string[]): HTMLElement {
  const names = unknown.flatMap((name, i) => [...(i > 0 ? [', '] : []), el('code', {}, name)]);
  return el(
    'p',
    { class: 'caveat', testid: 'unknown-names' },
    'Not in your tables: ',
    ...names,
    '. The model copied a name wrong.',
  );
}
