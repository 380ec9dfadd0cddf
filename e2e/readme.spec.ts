/** The README's example, in a page of its own, with the library as it is published. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { expect, test } from './fixtures.ts';

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

/** A page with one script, and the library's built files under /floe/. */
async function serve(script: string): Promise<Server> {
  const page = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/example.js"></script>';
  const server = createServer(async ({ url = '/' }, response) => {
    const body =
      url === '/'
        ? page
        : url === '/example.js'
          ? script
          : await readFile(join(root, 'packages/floe/dist', basename(url))).catch(() => null);
    if (body === null) return void response.writeHead(404).end();
    response.setHeader('Content-Type', url === '/' ? 'text/html' : 'text/javascript');
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  return server;
}

test("the README's example writes SQL, with the library as it is built", async ({ page, server }) => {
  const site = await serve(example(server.url));
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
  try {
    await page.goto(`http://localhost:${(site.address() as AddressInfo).port}/`);
    // Its last line unloads the model, and its worker with it.
    await expect.poll(() => [...errors, said.join('')].join('\n')).toMatch(/^SELECT .*;$/);
    await expect.poll(() => page.workers().length).toBe(0);
  } finally {
    site.closeAllConnections();
    site.close();
  }
  expect(phases.some((text) => text.startsWith('download '))).toBe(true);
  expect(phases.at(-1)).toMatch(/^ready /);
  expect(errors).toEqual([]);
});
