/** The page, as a test uses it. */
import { join } from 'node:path';
import { expect, type Locator, type Page } from '@playwright/test';

const pictures = join(import.meta.dirname, '../test-output/screenshots');

export type Phase = 'idle' | 'loading' | 'ready' | 'answering' | 'unloading' | 'error';

export class FloePage {
  constructor(readonly page: Page) {}

  get(testid: string): Locator {
    return this.page.getByTestId(testid);
  }

  /** Keeps a picture of the page as it is. A browser that has no frame to give just then is asked again. */
  async picture(name: string): Promise<void> {
    const path = join(pictures, `${name}.png`);
    await expect(() => this.page.screenshot({ path, animations: 'disabled' })).toPass();
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

  /** Waits until nothing of the model is still to come: its experts do while it answers already. */
  async isWhole(): Promise<void> {
    await expect(this.get('loaded-from')).not.toContainText('the rest comes');
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

  /** Leaves the loaded model as it was right after its load: no conversation, each question asked alone. */
  async startOver(): Promise<void> {
    if (await this.get('new-chat').isVisible()) await this.get('new-chat').click();
    await this.page.evaluate(() => {
      document.querySelector<HTMLDetailsElement>('.options')!.open = false;
      const alone = document.querySelector<HTMLInputElement>('#single-turn')!;
      if (!alone.checked) alone.click();
    });
  }

  async lastAnswer(): Promise<string> {
    const body = this.get('message-assistant').last();
    const code = body.getByTestId('answer-code');
    return (await ((await code.count()) > 0 ? code : body).textContent()) ?? '';
  }

  /** Asks an offered question by its chip and returns the answer's text. */
  async askChip(index: number): Promise<string> {
    const before = await this.get('answer-stats').count();
    await this.get('chip').nth(index).click();
    await expect(this.get('answer-stats')).toHaveCount(before + 1);
    await this.reaches('ready');
    return this.lastAnswer();
  }

  /** Opens the experts' panel, which is folded on a phone. */
  async unfoldExperts(): Promise<void> {
    await this.get('experts-panel').locator('summary').click();
    await expect(this.get('experts-panel')).toHaveAttribute('open');
  }

  async foldExperts(): Promise<void> {
    await this.get('experts-panel').locator('summary').click();
    await expect(this.get('experts-panel')).not.toHaveAttribute('open');
  }

  /** Moves the slider to a percentage, and waits until the model was loaded again. */
  async setGpuBudget(percent: number): Promise<void> {
    await this.countLoads();
    await this.get('gpu-budget').fill(String(percent));
    await expect.poll(() => this.loads()).toBe(1);
    await this.reaches('ready');
  }

  /** From now on `loads` counts how often a load has begun. */
  async countLoads(): Promise<void> {
    await this.page.evaluate(() => {
      const counted = { nLoads: 0 };
      Object.assign(window, counted);
      const { documentElement } = document;
      let before = documentElement.dataset.floe;
      new MutationObserver(() => {
        const now = documentElement.dataset.floe;
        if (now === 'loading' && before !== 'loading') (window as unknown as typeof counted).nLoads++;
        before = now;
      }).observe(documentElement, { attributeFilter: ['data-floe'] });
    });
  }

  loads(): Promise<number> {
    return this.page.evaluate(() => (window as unknown as { nLoads: number }).nLoads);
  }

  /** The colours the experts' map is painted with, edges and all. */
  async mapColours(): Promise<Set<number>> {
    const colours = await this.get('expert-map').evaluate((canvas: HTMLCanvasElement) => {
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      return [...new Set(new Uint32Array(data.buffer))];
    });
    return new Set(colours);
  }
}
