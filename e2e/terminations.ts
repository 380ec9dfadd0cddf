/** Whether a page has ended its workers. When the browser's thread is gone is the browser's matter: under load it takes a minute. */
import type { Page } from '@playwright/test';

declare global {
  interface Window {
    nTerminated: number;
  }
}

/** Counts the workers that the page's next documents end. */
export function countTerminations(page: Page): Promise<unknown> {
  return page.addInitScript(() => {
    const { terminate } = Worker.prototype;
    window.nTerminated = 0;
    Worker.prototype.terminate = function (this: Worker) {
      window.nTerminated++;
      terminate.call(this);
    };
  });
}

export function nTerminated(page: Page): Promise<number> {
  return page.evaluate(() => window.nTerminated);
}
