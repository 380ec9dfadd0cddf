/** The conversation: asks, shows the answers as they come, and remembers them for the model and for the next visit. */
import type { ChatMessage } from 'floe';
import { Answer } from './answer.ts';
import { codeBlock } from './codeBlock.ts';
import { button, byId, el } from './dom.ts';
import { keepTurns, keptTurns, type Turn } from './keptChat.ts';
import type { Sample } from './samples.ts';
import type { AnswerEnd, Session } from './session.ts';
import { loaded, onOtherModel } from './state.ts';
import type { Settings } from './tables.ts';

export class Chat {
  readonly #log = byId('conversation', HTMLElement);
  readonly #chips = byId('chips', HTMLElement);
  readonly #newChat = byId('new-chat', HTMLButtonElement);
  #turns: Turn[] = [];
  /** The answer that the last visit left unfinished. */
  #interrupted: Answer | null = null;

  constructor(
    private readonly session: Session,
    private readonly settings: () => Settings,
    /** Takes a question that can't be asked yet. */
    private readonly draft: (question: string) => void,
  ) {
    this.#newChat.addEventListener('click', () => {
      this.clear();
      this.#keep();
      void session.forget();
    });
    this.clear();
    session.store.subscribe((state) => {
      this.#log.setAttribute('aria-busy', String(state.kind === 'answering'));
      this.#newChat.disabled = state.kind === 'answering';
    });
    onOtherModel(session.store, ({ model }) => {
      this.clear();
      this.#show(keptTurns(model.info.name));
    });
  }

  clear(): void {
    this.#turns = [];
    this.#interrupted = null;
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
    const schema = /\bcreate\s+table\b/i.test(system) ? system : null;
    const turn: Turn = { question, answer: '', schema };
    const answer = new Answer(question, schema);
    this.#giveUpInterrupted();
    if (this.#newChat.hidden) this.#log.replaceChildren();
    this.#newChat.hidden = false;
    this.#log.append(answer.element);
    const messages: ChatMessage[] = [
      ...(system === '' ? [] : [{ role: 'system', content: system }]),
      ...(singleTurn ? [] : this.#turns.flatMap(messagesOf)),
      { role: 'user', content: question },
    ];
    this.#turns.push(turn);
    await this.#follow(turn, answer, (onText) => this.session.ask({ messages, temperature }, onText));
  }

  /** Shows an answer as it comes, and keeps it once it is over. */
  async #follow(turn: Turn, answer: Answer, begin: (onText: (text: string) => void) => Promise<AnswerEnd>) {
    answer.element.scrollIntoView({ block: 'nearest' });
    this.#keep();
    try {
      const end = await begin((text) => {
        const follows = this.#isAtEnd();
        answer.add(text);
        if (follows) this.#log.scrollTop = this.#log.scrollHeight;
      });
      answer.end(end);
      turn.answer = answer.text;
    } catch (thrown) {
      answer.fail(thrown);
    }
    // An answer stopped before its first word was none, and the question is as good as not asked.
    if (turn.answer === '') this.#turns = this.#turns.filter((one) => one !== turn);
    this.#keep();
    answer.element.scrollIntoView({ block: 'nearest' });
  }

  /** Shows what the last visit left. */
  #show(turns: Turn[]): void {
    if (turns.length === 0) return;
    this.#turns = turns;
    this.#newChat.hidden = false;
    this.#log.replaceChildren(el('p', { class: 'hint', testid: 'last-visit' }, 'From your last visit'));
    for (const turn of turns) {
      const answer = new Answer(turn.question, turn.schema);
      this.#log.append(answer.element);
      if (turn.answer === '') void this.#offerToGoOn(turn, answer);
      else answer.restore(turn.answer);
    }
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  async #offerToGoOn(turn: Turn, answer: Answer): Promise<void> {
    this.#interrupted = answer;
    answer.interrupted(null);
    if (!(await this.session.hasSaved()) || this.#interrupted !== answer) return;
    answer.interrupted(() => {
      if (this.session.store.current.kind !== 'ready') return;
      this.#interrupted = null;
      answer.wait();
      void this.#follow(turn, answer, (onText) => this.session.resume(onText));
    });
  }

  /** Another question is asked: it is saved in the place of the one that was left. */
  #giveUpInterrupted(): void {
    this.#interrupted?.interrupted(null);
    this.#interrupted = null;
    this.#turns = this.#turns.filter(({ answer }) => answer !== '');
  }

  #keep(): void {
    const now = loaded(this.session.store.current);
    if (now) keepTurns(now.model.info.name, this.#turns);
  }

  #isAtEnd(): boolean {
    return this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 60;
  }
}

function messagesOf({ question, answer }: Turn): ChatMessage[] {
  return [
    { role: 'user', content: question },
    { role: 'assistant', content: answer },
  ];
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
