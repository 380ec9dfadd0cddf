/** What goes wrong is said with its message, what to do, and its code. */
import { readFileSync } from 'node:fs';
import { tinyExamples, tinyModel } from './examples.ts';
import { expect, test } from './fixtures.ts';

test('an address with nothing behind it: net/http, and the page can go on', async ({ floe, server }) => {
  await floe.openAndLoad(`${server.origin}/nothing.gguf`);
  await floe.reaches('error');
  await expect(floe.get('error-code')).toHaveText('net/http');
  await expect(floe.get('error-message')).toContainText('404');
  await expect(floe.get('error-remedy')).not.toBeEmpty();
  await expect(floe.get('model-url')).toHaveValue(`${server.origin}/nothing.gguf`);
  await floe.get('model-url').fill(server.url);
  await floe.get('load-url').click();
  await floe.reaches('ready');
  await expect(floe.get('error')).toHaveCount(0);
});

test('a local file that ends too early: gguf/*', async ({ floe }) => {
  const whole = readFileSync(tinyModel);
  await floe.open();
  await floe.get('model-file').setInputFiles({
    name: 'cut.gguf',
    mimeType: 'application/octet-stream',
    buffer: whole.subarray(0, whole.length - 100_000),
  });
  await floe.reaches('error');
  await expect(floe.get('error-code')).toHaveText(/^gguf\/(truncated|out-of-bounds)$/);
  await expect(floe.get('error-remedy')).not.toBeEmpty();
});

test('a local file that is no GGUF: gguf/not-gguf', async ({ floe }) => {
  await floe.open();
  await floe.get('model-file').setInputFiles({
    name: 'notes.gguf',
    mimeType: 'text/plain',
    buffer: Buffer.from('no model, but a text of more than a few bytes '.repeat(20)),
  });
  await floe.reaches('error');
  await expect(floe.get('error-code')).toHaveText('gguf/not-gguf');
});

test('a question longer than the window slides through it: the page says how much, and the model answers on', async ({
  floe,
  server,
}) => {
  const [example] = tinyExamples();
  await floe.openWith(server.url);
  await floe.get('schema').fill(example!.tables);
  await floe.send('Show the average price of the products. '.repeat(100));
  await expect(floe.get('answer-stats')).toHaveCount(1);
  await expect(floe.get('window')).toHaveText('window 384 of 384');
  await expect(floe.get('slid-out')).toHaveText(/^\d{3,} tokens have slid out$/);
  expect(await floe.ask(example!.question)).toBe(example!.answer);
  await expect(floe.get('slid-out')).toHaveCount(1);
});

test('no WebGPU: the page says what is missing and what to do', async ({ floe }) => {
  await floe.page.addInitScript(() => {
    Reflect.deleteProperty(Navigator.prototype, 'gpu');
  });
  await floe.open();
  await expect(floe.get('no-webgpu')).toContainText('navigator.gpu is missing');
  await expect(floe.get('no-webgpu')).toContainText('Chrome');
  await expect(floe.get('load-bundled')).toBeDisabled();
});

test('WebGPU without an adapter: the page says so', async ({ floe }) => {
  await floe.page.addInitScript(() => {
    GPU.prototype.requestAdapter = async () => null;
  });
  await floe.open();
  await expect(floe.get('no-webgpu')).toContainText('no graphics adapter');
});
