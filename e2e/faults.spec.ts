/** What breaks around a model: the file, the disk, the worker. The page says what it was, and can go on. */
import { writeFile } from 'node:fs/promises';
import { soundModel, unknownArchitecture, withQuantization } from '@floe/testkit/brokenModels';
import { tinyExamples } from './examples.ts';
import { expect, test } from './fixtures.ts';
import type { FloePage } from './floePage.ts';
import { ModelServer } from './modelServer.ts';
import { flipStoredBit, overrideQuota, storedCounts } from './storage.ts';

const examples = tinyExamples();
const short = examples[0]!;
const long = examples.at(-1)!;

/** The error the page shows, whole: with what was found, what to do, and its code. */
async function expectError(floe: FloePage, code: string, says: RegExp): Promise<void> {
  await expect(floe.get('error-code')).toHaveText(code);
  await expect(floe.get('error-message')).toHaveText(says);
  await expect(floe.get('error-remedy')).toHaveText(/\w{3,}.*\./);
}

const refused = [
  { name: 'an unknown architecture', make: unknownArchitecture, code: 'model/unsupported-architecture', says: /lamma/ },
  {
    name: 'an unknown quantization',
    make: () => withQuantization(99),
    code: 'gguf/unsupported-type',
    says: /token_embd\.weight/,
  },
];

test('a file that can’t be run is refused with its code, and nothing of it is stored', async ({ floe }, testInfo) => {
  const file = testInfo.outputPath('model.gguf');
  const serve = async (bytes: Uint8Array, use: (url: string) => Promise<void>) => {
    await writeFile(file, bytes);
    const server = await ModelServer.start(file);
    await use(server.url).finally(() => server.close());
  };
  for (const { name, make, code, says } of refused) {
    await test.step(name, () =>
      serve(make(), async (url) => {
        await floe.openAndLoad(url);
        await floe.reaches('error');
        await expectError(floe, code, says);
        expect(Object.values((await storedCounts(floe.page)) ?? {}).filter((count) => count > 0)).toEqual([]);
      }),
    );
  }
  // The file they were made from is sound: the change alone is refused.
  await serve(soundModel(), async (url) => {
    await floe.openWith(url);
    expect((await storedCounts(floe.page))?.records).toBeGreaterThan(0);
  });
});

test('a full disk: store/quota; with room again it loads', async ({ floe, server }) => {
  await floe.open({ model: server.url });
  await overrideQuota(floe.page, 1_500_000);
  await floe.get('load-offered').click();
  await floe.reaches('error');
  await expectError(floe, 'store/quota', /storage is full.*MiB/);

  await overrideQuota(floe.page, null);
  await floe.get('retry').click();
  await floe.reaches('ready');
  // What there was room for was not taken for the whole.
  await expect(floe.get('loaded-from')).toHaveText('the network, and kept for the next visit');
  expect(await floe.ask(short.question, short.tables)).toBe(short.answer);
});

test('a flipped bit in the storage: with the network on, that record is fetched again', async ({ floe, server }) => {
  await floe.openWith(server.url);
  await floe.isWhole();
  await flipStoredBit(floe.page);
  const sentBytes = server.sentBytes;
  await floe.openWith(server.url);
  await expect(floe.get('loaded-from')).toContainText('storage');
  await expect(floe.get('notices').getByTestId('notice-refetched')).toBeVisible();
  expect(server.sentBytes).toBeGreaterThan(sentBytes);
  expect(server.sentBytes - sentBytes, 'not the whole file again').toBeLessThan(server.fileBytes / 2);
  expect(await floe.ask(short.question, short.tables)).toBe(short.answer);

  // Healed: the next visit finds nothing to say.
  await floe.openWith(server.url);
  await expect(floe.get('notice-refetched')).toHaveCount(0);
});

test('a flipped bit in the storage: with the network off, store/corrupt', async ({ floe, server }) => {
  await floe.openWith(server.url);
  await floe.isWhole();
  await flipStoredBit(floe.page);
  const { url } = server;
  await server.close();
  await floe.openAndLoad(url);
  await floe.reaches('error');
  await expectError(floe, 'store/corrupt', /damaged/);
});

test('the worker dies, and then the GPU device is lost, while the model answers: worker/died and gpu/lost, and it loads again', async ({
  floe,
  server,
}) => {
  await floe.page.addInitScript(() => {
    const workers: Worker[] = [];
    Object.assign(window, { workers });
    window.Worker = class extends Worker {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(url, options);
        workers.push(this);
      }
    };
  });
  await floe.openWith(server.url);
  await floe.get('schema').fill(long.tables);
  await floe.send(long.question);
  await floe.reaches('answering');
  await floe.page.evaluate(() => (window as unknown as { workers: Worker[] }).workers.at(-1)!.terminate());
  await expectEndOfModel(floe, 'worker/died');

  await floe.startOver();
  // The device is destroyed under the worker's hands, with its commands half recorded.
  for (const worker of floe.page.workers()) {
    await worker.evaluate(() => {
      const make = GPUDevice.prototype.createCommandEncoder;
      GPUDevice.prototype.createCommandEncoder = function (this: GPUDevice, descriptor) {
        GPUDevice.prototype.createCommandEncoder = make;
        const encoder = make.call(this, descriptor);
        this.destroy();
        return encoder;
      };
    });
  }
  await floe.get('schema').fill(long.tables);
  await floe.send(long.question);
  await expectEndOfModel(floe, 'gpu/lost');
});

/** The error in the conversation, where the answer was awaited, and where a model is loaded; then a new load works. */
async function expectEndOfModel(floe: FloePage, code: string): Promise<void> {
  await floe.reaches('error');
  await expect(floe.get('error')).toHaveCount(2);
  for (const place of ['turn', 'model-card']) {
    await expect(floe.get(place).getByTestId('error-code')).toHaveText(code);
    await expect(floe.get(place).getByTestId('error-remedy')).toContainText('Load the model again');
  }
  await expect(floe.get('send')).toBeDisabled();

  await floe.get('retry').click();
  await floe.reaches('ready');
  await expect(floe.get('loaded-from')).toContainText('storage');
  expect(await floe.ask(short.question, short.tables)).toBe(short.answer);
}
