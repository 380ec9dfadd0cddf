// `npm run try -- "question"`: the whole way in one command. Builds, serves, opens the page in headless Chromium, loads
// the bundled model, asks, prints the answer as it comes, and leaves a screenshot.
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromiumFlags, findChromium } from './chromium.mjs';
import { root, setup } from './setup.mjs';
import { build, serve } from './start.mjs';

const MODEL = 'models/arctic-mini-sql-q4_0.gguf';
const DEFAULT_QUESTION = 'Which customer has the most orders? Show the name.';
const SCREENSHOT = join(root, 'test-output/try.png');
const LIMIT_MS = 5 * 60_000;
const POLL_MS = 50;

const question = process.argv.slice(2).join(' ').trim() || DEFAULT_QUESTION;

setup();
console.log('Building …');
build();
const server = await serve();
const browser = await launch();
try {
  process.exitCode = await ask(server.address);
} finally {
  await browser.close();
  await server.close();
}

/** Playwright's own browser driver, which the tests depend on. */
async function launch() {
  const fromTests = createRequire(join(root, 'e2e/package.json'));
  const { chromium } = createRequire(fromTests.resolve('@playwright/test'))('playwright-core');
  return chromium.launch({ executablePath: findChromium(), args: [...chromiumFlags, '--headless=new'] });
}

/** Loads, asks and prints; the exit code. */
async function ask(address) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  page.on('pageerror', (error) => console.error(`error page: ${error.message}`));
  const url = new URL(address);
  url.search = new URLSearchParams({ model: MODEL, ask: question }).toString();
  await page.goto(url.href);

  let phase = '';
  let printed = '';
  const deadline = Date.now() + LIMIT_MS;
  while (Date.now() < deadline) {
    const now = await page.evaluate(readPage);
    if (now.phase !== phase && now.phase !== '') console.log(`${now.phase} …`);
    phase = now.phase;
    if (now.tables !== '' && printed === '' && now.answer !== '') console.log(`\n${now.tables}\n\n-- ${question}`);
    if (now.answer.startsWith(printed)) process.stdout.write(now.answer.slice(printed.length));
    printed = now.answer;
    if (now.error || now.stats !== '') {
      await report(page, now);
      return now.error ? 1 : 0;
    }
    await page.waitForTimeout(POLL_MS);
  }
  console.error(`error: no answer within ${LIMIT_MS / 60_000} minutes`);
  return 1;
}

async function report(page, { error, stats }) {
  if (error) console.error(`\nerror ${error.code}: ${error.message}\n${error.remedy}`);
  else console.log(`\n\n${stats}`);
  mkdirSync(join(root, 'test-output'), { recursive: true });
  await page.screenshot({ path: SCREENSHOT });
  console.log(`Screenshot: ${SCREENSHOT}`);
}

/** Runs in the page. */
function readPage() {
  const text = (id) => document.querySelector(`[data-testid="${id}"]`)?.textContent ?? '';
  const answered = document.querySelector('[data-testid="message-assistant"]');
  const isLoading = document.documentElement.dataset.floe === 'loading';
  const lacksGpu = !document.querySelector('[data-testid="no-webgpu"]').hidden;
  const failed = document.querySelector('[data-testid="error"]') !== null;
  const waiting = document.querySelector('[data-testid="waiting"]') !== null;
  let error = null;
  if (failed) error = { code: text('error-code'), message: text('error-message'), remedy: text('error-remedy') };
  if (lacksGpu) error = { code: 'gpu/unavailable', message: text('no-webgpu'), remedy: '' };
  return {
    phase: isLoading ? text('progress-phase') : '',
    tables: document.querySelector('[data-testid="schema"]').value,
    answer: waiting ? '' : ((answered?.querySelector('code') ?? answered)?.textContent ?? ''),
    stats: text('answer-stats'),
    error,
  };
}
