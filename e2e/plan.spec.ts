/** A plan is made beside the page's own thread, and says what Node says. */
import { join } from 'node:path';
import { virtualModel } from '../packages/testkit/src/virtualModel.ts';
import { startVirtualServer } from '../packages/testkit/src/virtualServer.ts';
import { expect, test } from './fixtures.ts';
import { serveLibrary } from './librarySite.ts';
import { mainThreadTasks } from './mainThread.ts';

/** As it was built: the source imports WGSL. */
const built = join(import.meta.dirname, '../packages/floe/dist/node.js');
const html = '<!doctype html><link rel="icon" href="data:,"><title>a plan</title>';
const options = { budget: { gpuBytes: 8e9, memoryBytes: 16e9 }, contextLength: 1024 };

test('a plan for all of Arctic keeps the page’s thread free, and is the one Node makes', async ({ page }) => {
  const server = await startVirtualServer(virtualModel({ nLayers: 35 }));
  const site = await serveLibrary((path) => (path === '/' ? html : undefined));
  try {
    await page.goto(site.url);
    const library = await page.evaluateHandle(() => import('/floe/index.js' as string));
    const run = (asked: object) =>
      library.evaluate(
        ({ planLoad }, [url, given]) => planLoad(url, given).catch(({ code }: { code: string }) => code),
        [server.url, asked] as const,
      );
    let plan: unknown;
    const tasks = await mainThreadTasks(page, async () => {
      plan = await run(options);
    });
    expect(tasks.length).toBeGreaterThan(0);
    expect(tasks.filter((ms) => !(ms <= 50))).toEqual([]);
    const { planLoad } = (await import(built)) as typeof import('floe/node');
    expect(plan).toEqual(await planLoad(server.url, options));
    expect(plan).toMatchObject({ nLayers: 35, nExperts: 128, contextLength: 1024 });
    expect(await run({ budget: { gpuBytes: 1e6 } })).toBe('experts/budget-too-small');
  } finally {
    site.close();
    await server[Symbol.asyncDispose]();
  }
});
