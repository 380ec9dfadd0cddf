/** The page, as a test uses it. */
import { expect, type Locator, type Page } from '@playwright/test';

export type Phase = 'idle' | 'loading' | 'ready' | 'answering' | 'unloading' | 'error';

export class FloePage {
  constructor(readonly page: Page) {}

  get(testid: string): Locator {
    return this.page.getByTestId(testid);
  }

  /** Opens the page, with `?model=…` and the like. */
  async open(query: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.page.goto(`/?${new URLSearchParams(query)}`);
  }

  /** Waits for a phase; an error that isn't waited for fails at once, with what the page says. */
  async reaches(phase: Phase): Promise<void> {
    const now = await this.page.waitForFunction((wanted) => {
      const { floe } = document.documentElement.dataset;
      return floe === wanted || floe === 'error' ? floe : null;
    }, phase);
    const reached = await now.jsonValue();
    if (reached !== phase) throw new Error(`The page shows an error: ${await this.get('error').textContent()}`);
  }

  /** Opens the page with a model of another origin, and says yes to it. */
  async openAndLoad(url: string, query: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.open({ model: url, ...query });
    await this.get('load-offered').click();
  }

  /** The same, until the model can be asked. */
  async openWith(url: string, query: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.openAndLoad(url, query);
    await this.reaches('ready');
  }

  /** Asks by keyboard; returns once the answer has begun to be waited for. */
  async send(question: string): Promise<void> {
    await this.get('question').fill(question);
    await this.get('question').press('Enter');
  }

  /** Asks a question about tables and returns the answer's text. */
  async ask(question: string, tables?: string): Promise<string> {
    if (tables !== undefined) await this.get('schema').fill(tables);
    const before = await this.get('answer-stats').count();
    await this.send(question);
    await expect(this.get('answer-stats')).toHaveCount(before + 1);
    await this.reaches('ready');
    return this.lastAnswer();
  }

  async lastAnswer(): Promise<string> {
    const body = this.get('message-assistant').last();
    const code = body.getByTestId('answer-code');
    return (await ((await code.count()) > 0 ? code : body).textContent()) ?? '';
  }
}
