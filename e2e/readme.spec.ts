/** The README's example, in a page of its own, with the library as it is published. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from './fixtures.ts';
import { serveLibrary } from './librarySite.ts';
import { countTerminations, nTerminated } from './terminations.ts';

const root = join(import.meta.dirname, '..');

/** The example word for word; only where the library and the model lie are the test's. */
function example(modelUrl: string): string {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const code = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  const moved = code.replace("'floe'", "'/floe/index.js'").replace(/https:\/\/[^']*\.gguf/, modelUrl);
  expect(moved).toContain("import { loadModel } from '/floe/index.js';");
  expect(moved).toContain(`loadModel('${modelUrl}'`);
  return moved;
}

const html = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/example.js"></script>';

test("the README's example writes SQL, with the library as it is built", async ({ page, server }) => {
  const files: Record<string, string> = { '/': html, '/example.js': example(server.url) };
  const site = await serveLibrary((path) => files[path]);
  const said: string[] = [];
  const phases: string[] = [];
  const errors: string[] = [];
  page.on('pageerror', ({ message }) => errors.push(message));
  // A chunk is logged alone, the progress with its numbers.
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
    else if (message.args().length === 1) said.push(message.text());
    else phases.push(message.text());
  });
  await countTerminations(page);
  try {
    await page.goto(site.url);
    // Its last line unloads the model, and its worker with it.
    await expect.poll(() => [...errors, said.join('')].join('\n')).toMatch(/^SELECT .*;$/);
    await expect.poll(() => nTerminated(page)).toBe(1);
  } finally {
    site.close();
  }
  expect(phases.some((text) => text.startsWith('download '))).toBe(true);
  expect(phases.at(-1)).toMatch(/^ready /);
  expect(errors).toEqual([]);
});
