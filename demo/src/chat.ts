/** The conversation: asks, shows the answers as they come, and remembers them for models that want to be told. */
import type { ChatMessage } from 'floe';
import { Answer } from './answer.ts';
import { codeBlock } from './codeBlock.ts';
import { button, byId, el } from './dom.ts';
import type { Sample } from './samples.ts';
import type { Session } from './session.ts';
import { onOtherModel } from './state.ts';
import type { Settings } from './tables.ts';

export class Chat {
  readonly #log = byId('conversation', HTMLElement);
  readonly #chips = byId('chips', HTMLElement);
  readonly #newChat = byId('new-chat', HTMLButtonElement);
  #history: ChatMessage[] = [];

  constructor(
    private readonly session: Session,
    private readonly settings: () => Settings,
    /** Takes a question that can't be asked yet. */
    private readonly draft: (question: string) => void,
  ) {
    this.#newChat.addEventListener('click', () => this.clear());
    this.clear();
    session.store.subscribe((state) => {
      this.#log.setAttribute('aria-busy', String(state.kind === 'answering'));
      this.#newChat.disabled = state.kind === 'answering';
    });
    onOtherModel(session.store, () => this.clear());
  }

  clear(): void {
    this.#history = [];
    this.#newChat.hidden = true;
    this.#log.replaceChildren(welcome());
  }

  /** Offers an example's questions, or none. */
  offer(sample: Sample | null): void {
    const ask = (question: string) => () => {
      if (this.session.store.current.kind === 'ready') void this.ask(question);
      else this.draft(question);
    };
    const chips = (sample?.questions ?? []).map((question) =>
      button(question, { testid: 'chip', onclick: ask(question) }),
    );
    this.#chips.replaceChildren(...chips);
  }

  async ask(question: string): Promise<void> {
    const state = this.session.store.current;
    if (state.kind !== 'ready') return;
    const { system, singleTurn, temperature } = this.settings();
    const answer = new Answer(question, /\bcreate\s+table\b/i.test(system) ? system : null);
    if (this.#newChat.hidden) this.#log.replaceChildren();
    this.#newChat.hidden = false;
    this.#log.append(answer.element);
    answer.element.scrollIntoView({ block: 'nearest' });

    const asked: ChatMessage = { role: 'user', content: question };
    const messages: ChatMessage[] = [
      ...(system === '' ? [] : [{ role: 'system', content: system }]),
      ...(singleTurn ? [] : this.#history),
      asked,
    ];
    try {
      const end = await this.session.ask({ messages, temperature }, (text) => {
        const follows = this.#isAtEnd();
        answer.add(text);
        if (follows) this.#log.scrollTop = this.#log.scrollHeight;
      });
      answer.end(end);
      // An answer stopped before its first word was none, and the question is as good as not asked.
      if (answer.text !== '') this.#history.push(asked, { role: 'assistant', content: answer.text });
    } catch (thrown) {
      answer.fail(thrown);
    }
    answer.element.scrollIntoView({ block: 'nearest' });
  }

  #isAtEnd(): boolean {
    return this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 60;
  }
}

/** What this is for, before the first question: an example, with the answer the bundled model gives. */
function welcome(): HTMLElement {
  return el(
    'div',
    { class: 'welcome', testid: 'welcome' },
    el('p', {}, 'Ask your tables in plain English. The model writes the SQL.'),
    el(
      'figure',
      {},
      el('p', { class: 'asked-example' }, 'Which department has the highest average salary?'),
      codeBlock('SELECT department FROM employees GROUP BY department ORDER BY AVG(salary) DESC LIMIT 1;'),
    ),
    el(
      'ol',
      {},
      el('li', {}, 'Load the model: 17 MB, once.'),
      el('li', {}, 'Choose example tables, or paste your own.'),
      el('li', {}, 'Pick a question below, or write one.'),
    ),
  );
}
