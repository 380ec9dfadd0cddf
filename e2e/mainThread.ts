/** What a page's main thread works at a time, by Chromium's own trace. */
import type { Page } from '@playwright/test';

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds of the thread's processor time; absent where the system does not count it. */
  readonly tdur?: number;
}

/** By it the page's thread is known among those of all pages. */
const MARK = 'the tasks from here on';

/**
 * Milliseconds of processor time of each task that `work` had the page's main thread do. By the clock a task is as long
 * as the machine makes it that does other things meanwhile: that is no fault of the page.
 */
export async function mainThreadTasks(page: Page, work: () => Promise<void>): Promise<number[]> {
  const browser = page.context().browser();
  if (!browser) throw new Error('A page of a persistent context has no browser that could trace it.');
  await browser.startTracing(page, { categories: ['blink.user_timing', 'disabled-by-default-devtools.timeline'] });
  await page.evaluate((mark) => performance.mark(mark), MARK);
  await work();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
  const mark = traceEvents.find(({ name }) => name === MARK);
  return traceEvents
    .filter(({ name, pid, tid }) => name === 'RunTask' && pid === mark?.pid && tid === mark.tid)
    .map(({ tdur = Number.NaN }) => tdur / 1000);
}
