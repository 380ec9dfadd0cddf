/** Models that come otherwise than from one address: in parts, through a `fetch` of the page's own, from a hub. */
import { readFileSync } from 'node:fs';
import { splitGguf } from '../packages/testkit/src/splitGguf.ts';
import { tinyModel } from './examples.ts';
import { expect, test } from './fixtures.ts';
import { serveLibrary } from './librarySite.ts';

const script = (url: string) => `
import { loadModel } from '/floe/index.js';
const idsOf = async (source, options = {}) => {
  const model = await loadModel(source, { contextLength: 64, ...options });
  const { ids } = await model.completions.create({ prompt: 'SELECT', max_tokens: 4, temperature: 0 });
  await model.unload();
  return ids.join();
};
const partOf = async (i) => new File([await (await fetch('/part/' + i)).blob()], 'part ' + i);
const asked = new Set();
const ownFetch = (address, init) => {
  asked.add(address + ' ' + new Headers(init.headers).get('x-token'));
  return fetch('${url}', { ...init, headers: { Range: new Headers(init.headers).get('range') } });
};
try {
  const whole = await idsOf('${url}');
  const parts = await idsOf(await Promise.all([2, 0, 1].map(partOf)));
  const hub = { hub: 'https://mirror.example', headers: { 'X-Token': 'a' }, fetch: ownFetch };
  const through = await idsOf('hf:owner/repo@v1/tiny.gguf', hub);
  console.log(JSON.stringify({ whole, parts, through, asked: [...asked] }));
} catch (error) {
  console.log(JSON.stringify({ error: String(error), code: error.code }));
}`;
const html = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/script.js"></script>';

test('the parts of a split model, and a fetch of the page’s own, give what the file gives', async ({
  page,
  server,
}) => {
  const parts = splitGguf(new Uint8Array(readFileSync(tinyModel)), [20, 0, 1000]);
  const files: Record<string, string> = { '/': html, '/script.js': script(server.url) };
  const site = await serveLibrary((path) => files[path]);
  await page.route('**/part/*', (route) =>
    route.fulfill({ body: Buffer.from(parts[Number(route.request().url().at(-1))]!) }),
  );
  const said = page.waitForEvent('console', (message) => message.text().startsWith('{'));
  try {
    await page.goto(site.url);
    const result = JSON.parse((await said).text()) as Record<string, unknown>;
    expect(result).toMatchObject({ whole: expect.stringMatching(/^\d+(,\d+)*$/) });
    expect(result).toEqual({
      ...{ whole: result.whole, parts: result.whole, through: result.whole },
      asked: ['https://mirror.example/owner/repo/resolve/v1/tiny.gguf a'],
    });
  } finally {
    site.close();
  }
});
