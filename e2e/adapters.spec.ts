/** A LoRA adapter, given to a model that lives in its worker. */
import { readFileSync } from 'node:fs';
import { readGguf } from '../packages/floe/src/gguf/index.ts';
import { writeGguf } from '../packages/testkit/src/ggufWriter.ts';
import { seeded } from '../packages/testkit/src/seeded.ts';
import { tinyModel } from './examples.ts';
import { expect, test } from './fixtures.ts';
import { serveLibrary } from './librarySite.ts';

const CHANGED = 'blk.0.attn_output.weight';
const RANK = 4;

async function adapterOf(path: string): Promise<Uint8Array> {
  const bytes = readFileSync(path);
  const gguf = await readGguf({ sizeBytes: bytes.length, read: async (at, n) => bytes.subarray(at, at + n) });
  const [nOut, nIn] = gguf.tensors.get(CHANGED)!.shape as [number, number];
  const half = (name: string, shape: readonly [number, number]) => {
    const data = seeded(name).normals(shape[0] * shape[1], 0.5);
    return { name: `${CHANGED}.${name}`, shape, type: 'F32', data } as const;
  };
  return writeGguf({
    metadata: {
      'general.architecture': gguf.architecture,
      'general.type': 'adapter',
      'general.name': 'a test',
      'adapter.type': 'lora',
      'adapter.lora.alpha': { f32: RANK },
    },
    tensors: [half('lora_a', [RANK, nIn]), half('lora_b', [nOut, RANK])],
  });
}

const script = (url: string) => `
import { loadModel } from '/floe/index.js';
try {
  const model = await loadModel('${url}', { contextLength: 64 });
  const expected = async () => JSON.stringify(await model.logprobs([5, 6, 7], { top: 3 }));
  const plain = await expected();
  const file = new File([await (await fetch('/adapter')).blob()], 'adapter.gguf');
  const adapter = await model.adapters.add(file, { scale: 2 });
  const adapted = await expected();
  const [{ name, scale, nTensors, rank }] = await model.adapters.list();
  await adapter.setScale(0);
  const atNothing = await expected();
  await adapter.setScale(2);
  const again = await expected();
  await adapter.remove();
  const removed = await expected();
  const refused = await model.adapters.add('${url}').catch((error) => error.constructor.name + ' ' + error.code);
  const left = await model.adapters.list();
  await model.unload();
  console.log(JSON.stringify({
    info: { name, scale, nTensors, rank },
    acts: adapted !== plain,
    atNothing: atNothing === plain,
    again: again === adapted,
    removed: removed === plain,
    refused,
    left,
  }));
} catch (error) {
  console.log(JSON.stringify({ error: String(error), code: error.code }));
}`;
const html = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/script.js"></script>';

test('an adapter acts, is weighed and removed, and what is none is refused with its class and code', async ({
  page,
  server,
}) => {
  const adapter = Buffer.from(await adapterOf(tinyModel));
  const files: Record<string, string> = { '/': html, '/script.js': script(server.url) };
  const site = await serveLibrary((path) => files[path]);
  await page.route('**/adapter', (route) => route.fulfill({ body: adapter }));
  const said = page.waitForEvent('console', (message) => message.text().startsWith('{'));
  try {
    await page.goto(site.url);
    expect(JSON.parse((await said).text())).toEqual({
      info: { name: 'a test', scale: 2, nTensors: 1, rank: RANK },
      ...{ acts: true, atNothing: true, again: true, removed: true, left: [] },
      refused: 'ModelError model/adapter',
    });
  } finally {
    site.close();
  }
});
