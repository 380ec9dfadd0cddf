/** The question box: Enter asks, Shift+Enter breaks the line, Esc stops. */
import { byId } from './dom.ts';
import type { Session } from './session.ts';

export class Composer {
  readonly #box = byId('question', HTMLTextAreaElement);
  readonly #send = byId('send', HTMLButtonElement);
  readonly #stop = byId('stop', HTMLButtonElement);

  constructor(
    private readonly session: Session,
    private readonly ask: (question: string) => void,
  ) {
    byId('composer', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#box.addEventListener('keydown', (event) => {
      // While an input method composes, Enter chooses a word.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    this.#stop.addEventListener('click', () => session.stop());
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') session.stop();
    });
    this.#box.addEventListener('input', () => this.#fit());
    session.store.subscribe(({ kind }) => {
      this.#send.disabled = kind !== 'ready';
      this.#send.hidden = kind === 'answering';
      this.#send.title = kind === 'ready' || kind === 'answering' ? '' : 'Load a model first';
      this.#stop.hidden = kind !== 'answering';
    });
  }

  /** Puts a question in the box, to be read before it is asked. */
  draft(question: string): void {
    this.#box.value = question;
    this.#fit();
    this.#box.focus();
  }

  #submit(): void {
    const question = this.#box.value.trim();
    if (question === '' || this.session.store.current.kind !== 'ready') return;
    this.#box.value = '';
    this.#fit();
    this.ask(question);
  }

  /** As high as its text, up to what the style sheet allows. */
  #fit(): void {
    this.#box.style.height = 'auto';
    this.#box.style.height = `${this.#box.scrollHeight}px`;
  }
}
