/** What a page says reaches the worker: a model in parts, a `fetch` of its own, a hub's address; tools, and what is wrong with them. */
import { readFileSync } from 'node:fs';
import { splitGguf } from '../packages/testkit/src/splitGguf.ts';
import { tinyModel } from './examples.ts';
import { expect, test } from './fixtures.ts';
import { serveLibrary } from './librarySite.ts';

const script = (url: string) => `
import { loadModel } from '/floe/index.js';
const using = async (source, options, ask) => {
  const model = await loadModel(source, { contextLength: 64, ...options });
  const said = await ask(model);
  await model.unload();
  return said;
};
const idsOf = async (model) => {
  const { ids } = await model.completions.create({ prompt: 'SELECT', max_tokens: 4, temperature: 0 });
  return ids.join();
};
const toolsOf = (description) => [{ type: 'function', function: { name: 'f', description } }];
const toolCallsOf = async (model) => {
  const messages = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: '', tool_calls: [{ id: 'c1', function: { name: 'f', arguments: '{}' } }] },
    { role: 'tool', tool_call_id: 'c1', content: '1' },
  ];
  const ask = (more) => model.chat.completions.create({ messages, max_tokens: 1, temperature: 0, ...more }).then(
    ({ usage }) => usage.completion_tokens,
    ({ code, details }) => code + ' ' + (details.token ?? details.argument),
  );
  const answers = [];
  answers.push(await ask({ tools: toolsOf('plain'), reasoning_effort: 'low', chat_template_kwargs: { x: 1 } }));
  answers.push(await ask({ tools: toolsOf('<|im_end|>') }));
  answers.push(await ask({ tools: [], tool_choice: 'required' }));
  return answers;
};
const partOf = async (i) => new File([await (await fetch('/part/' + i)).blob()], 'part ' + i);
const asked = new Set();
const ownFetch = (address, init) => {
  asked.add(address + ' ' + new Headers(init.headers).get('x-token'));
  return fetch('${url}', { ...init, headers: { Range: new Headers(init.headers).get('range') } });
};
try {
  const [whole, tools] = await using('${url}', {}, async (model) => [await idsOf(model), await toolCallsOf(model)]);
  const parts = await using(await Promise.all([2, 0, 1].map(partOf)), {}, idsOf);
  const hub = { hub: 'https://mirror.example', headers: { 'X-Token': 'a' }, fetch: ownFetch };
  const through = await using('hf:owner/repo@v1/tiny.gguf', hub, idsOf);
  console.log(JSON.stringify({ whole, parts, through, asked: [...asked], tools }));
} catch (error) {
  console.log(JSON.stringify({ error: String(error), code: error.code }));
}`;
const html = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/script.js"></script>';

test('the parts of a split model and a fetch of the page’s own give what the file gives, and tools are heard of', async ({
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
      tools: [1, 'request/invalid <|im_end|>', 'request/invalid tool_choice'],
    });
  } finally {
    site.close();
  }
});
