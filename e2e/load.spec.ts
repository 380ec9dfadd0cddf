/** A model comes from HTTP, from this origin's storage, or from a file; a download goes on where it was cut. */
import { tinyExamples } from './examples.ts';
import { expect, test } from './fixtures.ts';
import type { Sent } from './modelServer.ts';
import { countTerminations, nTerminated } from './terminations.ts';

const [first, second] = tinyExamples() as [ReturnType<typeof tinyExamples>[0], ReturnType<typeof tinyExamples>[0]];

test('loads from HTTP with its progress in numbers, says what is still to come, and streams the SQL that llama.cpp gives', async ({
  floe,
  server,
}) => {
  // Numbers are drawn once a frame: on this machine alone the whole download may lie between two.
  server.pauseMs = 5;
  // Behind the beginning of the file and all that every token needs: experts.
  server.holdAtBytes = 5_000_000;
  await floe.open();
  // Every text the progress shows, since a phase may pass between two looks.
  await floe.page.evaluate(() => {
    const shown: (string | null)[] = [];
    Object.assign(window, { shown });
    const panel = document.querySelector(`[data-testid="progress"]`)!;
    new MutationObserver(() => shown.push(panel.textContent)).observe(panel, { subtree: true, childList: true });
  });
  await floe.get('other-models').locator('summary').click();
  await floe.get('model-url').fill(server.url);
  await floe.get('load-url').click();
  await floe.reaches('ready');
  const shown = await floe.page.evaluate(() => (window as unknown as { shown: string[] }).shown.join('\n'));
  expect(shown).toContain('Downloading');
  expect(shown).toMatch(/Downloading\s*[\d.]+ MB of 2\.8\d MB, \d+%/);

  await expect(floe.get('experts')).toHaveText('top-2 of 8');
  const coming = /^the network; [\d.]+ MB of 9\.5\d MB are here, the rest comes while it answers$/;
  await expect(floe.get('loaded-from')).toHaveText(coming);
  server.holdAtBytes = null;
  await expect(floe.get('loaded-from')).toHaveText('the network, and kept for the next visit');
  await expect(floe.get('software-adapter')).toBeVisible();
  await expect(floe.get('gpu-bytes')).toHaveText(/^[\d.]+ MB on the GPU$/);

  expect(await floe.ask(first.question, first.tables)).toBe(first.answer);
  await expect(floe.get('first-token')).toHaveText(/first token after/);
  await expect(floe.get('rate')).toHaveText(/^[\d.]+ tokens\/s$/);
});

test('loads from storage in the next browser session, with the origin of the model blocked', async ({
  restart,
  server,
}) => {
  const before = await restart();
  await before.openWith(server.url);
  await expect(before.get('loaded-from')).toContainText('network');
  await before.isWhole();
  const sentBytes = server.sentBytes;

  const after = await restart();
  await after.page.route(
    (url) => url.pathname.endsWith('.gguf'),
    (route) => route.abort('internetdisconnected'),
  );
  await after.openWith(server.url);
  await expect(after.get('loaded-from')).toContainText('storage');
  expect(server.sentBytes, 'bytes sent after the first session').toBe(sentBytes);
  expect(await after.ask(first.question, first.tables)).toBe(first.answer);
  expect(await after.ask(second.question, second.tables)).toBe(second.answer);
});

test('a server without ranges: the page says so while it loads, and the model answers', async ({ floe, server }) => {
  server.ranges = false;
  server.pauseMs = 5;
  await floe.openAndLoad(server.url);
  await expect(floe.get('loading-notices').getByTestId('notice-no-ranges')).toBeVisible();
  await expect(floe.page.locator('html')).toHaveAttribute('data-floe', 'loading');
  await floe.reaches('ready');
  await expect(floe.get('notices').getByTestId('notice-no-ranges')).toBeVisible();
  expect(await floe.ask(first.question, first.tables)).toBe(first.answer);
});

test('a download that is cut goes on, and fetches no byte twice', async ({ restart, server }) => {
  const floe = await restart();
  // A download that began anew would send these bytes twice.
  server.cutAfterBytes = 6_000_000;
  await floe.openAndLoad(server.url);
  await floe.page.waitForFunction(() => ['ready', 'error'].includes(document.documentElement.dataset.floe ?? ''));
  if (await floe.get('retry').isVisible()) await floe.get('retry').click();
  await floe.reaches('ready');
  await floe.isWhole();
  expect(server.cuts).toBe(1);
  expect(bytesSentTwice(server.sent), JSON.stringify(server.sent)).toBeLessThanOrEqual(LOST_BY_A_CUT);
  expect(await floe.ask(first.question, first.tables)).toBe(first.answer);
});

// What never reached the page: the buffers of the socket that was destroyed, which hold megabytes on a busy machine, and
// the parts of records whose other parts were in them.
const LOST_BY_A_CUT = 4 * 1024 * 1024;

function bytesSentTwice(sent: readonly Sent[]): number {
  const spans = sent.map(({ start, bytes }) => [start, start + bytes] as const).sort((a, b) => a[0] - b[0]);
  let [twice, end] = [0, 0];
  for (const [from, to] of spans) {
    twice += Math.max(0, Math.min(end, to) - from);
    end = Math.max(end, to);
  }
  return twice;
}

test('a load that is stopped leaves the page as it was, and the next one works', async ({ floe, server }) => {
  await floe.open();
  // Stopped from within, at the first number: a click from here would come too late.
  await floe.page.evaluate(() => {
    const numbers = document.querySelector('[data-testid="progress-numbers"]')!;
    const stop = document.querySelector<HTMLElement>('[data-testid="cancel-load"]')!;
    new MutationObserver((_, observer) => {
      if (!numbers.textContent?.includes('MB of')) return;
      observer.disconnect();
      stop.click();
    }).observe(numbers, { subtree: true, childList: true });
  });
  await floe.get('other-models').locator('summary').click();
  await floe.get('model-url').fill(server.url);
  await floe.get('load-url').click();
  await floe.reaches('idle');
  await expect(floe.get('error')).toHaveCount(0);
  await floe.get('load-url').click();
  await floe.reaches('ready');
  expect(await floe.ask(first.question, first.tables)).toBe(first.answer);
});

test('a local file is read in place', async ({ floe }) => {
  const { tinyModel } = await import('./examples.ts');
  await floe.open();
  await floe.get('model-file').setInputFiles(tinyModel);
  await floe.reaches('ready');
  await expect(floe.get('loaded-from')).toContainText('read in place');
  expect(await floe.ask(first.question, first.tables)).toBe(first.answer);
});

test('the bundled model loads with one click, answers its example, and is unloaded', async ({ floe }) => {
  await countTerminations(floe.page);
  await floe.open();
  await floe.get('load-bundled').click();
  await floe.reaches('ready');
  await expect(floe.get('experts')).toHaveText('top-2 of 128');
  await floe.get('sample-staff').click();
  await floe.get('chip').first().click();
  await expect(floe.get('answer-stats')).toHaveCount(1);
  expect(await floe.lastAnswer()).toBe(
    'SELECT department FROM employees GROUP BY department ORDER BY AVG(salary) DESC LIMIT 1;',
  );
  await floe.page.evaluate(() => {
    const { documentElement } = document;
    const phases: (string | undefined)[] = [];
    Object.assign(window, { phases });
    new MutationObserver(() => phases.push(documentElement.dataset.floe)).observe(documentElement, {
      attributeFilter: ['data-floe'],
    });
  });
  await floe.get('unload').click();
  await floe.reaches('idle');
  // The GPU had its memory back before the page said so.
  expect(await floe.page.evaluate(() => (window as unknown as { phases: string[] }).phases)).toEqual([
    'unloading',
    'idle',
  ]);
  expect(await nTerminated(floe.page)).toBe(1);
  await expect(floe.get('load-bundled')).toBeEnabled();
  await expect(floe.get('send')).toBeDisabled();
});

test('runs on a device with the default limits and no features', async ({ floe, server }) => {
  await floe.openWith(server.url, { limits: 'default' });
  expect(await floe.ask(first.question, first.tables)).toBe(first.answer);
});

test('?model= of another origin is asked about before a byte of it moves; ?ask= waits for that', async ({
  floe,
  server,
}) => {
  await floe.open({ model: server.url, ask: 'Who are you?' });
  await expect(floe.get('offer')).toContainText(server.url);
  await floe.page.waitForLoadState('networkidle');
  await expect(floe.page.locator('html')).toHaveAttribute('data-floe', 'idle');
  expect(server.sent).toEqual([]);
  await expect(floe.get('turn')).toHaveCount(0);

  await floe.get('load-offered').click();
  await expect(floe.get('answer-stats')).toHaveCount(1);
  await expect(floe.get('message-user')).toHaveText('Who are you?');
  expect(await floe.lastAnswer()).not.toBe('');
});

test('?model= of this origin loads, and ?ask= asks', async ({ floe }) => {
  await floe.open({ model: 'models/arctic-mini-sql-q4_0.gguf', ask: 'Who are you?' });
  await expect(floe.get('answer-stats')).toHaveCount(1);
  await expect(floe.get('message-user')).toHaveText('Who are you?');
});
