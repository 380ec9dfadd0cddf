/** What every test gets: the page, and a server of the tiny model of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, test as base, chromium } from '@playwright/test';
import { launchOptions } from './browser.ts';
import { tinyModel } from './examples.ts';
import { FloePage } from './floePage.ts';
import { ModelServer } from './modelServer.ts';

interface Fixtures {
  readonly floe: FloePage;
  readonly server: ModelServer;
  /** Starts the browser on one profile, again and again: what it stored is there the next time. */
  readonly restart: () => Promise<FloePage>;
}

export const test = base.extend<Fixtures>({
  floe: async ({ page }, use) => use(new FloePage(page)),
  server: async ({ baseURL: _ }, use) => {
    const server = await ModelServer.start(tinyModel);
    await use(server);
    await server.close();
  },
  restart: async ({ baseURL }, use) => {
    const profile = await mkdtemp(join(tmpdir(), 'floe-profile-'));
    let context: BrowserContext | null = null;
    await use(async () => {
      await context?.close();
      context = await chromium.launchPersistentContext(profile, { ...launchOptions, ...(baseURL ? { baseURL } : {}) });
      return new FloePage(context.pages()[0] ?? (await context.newPage()));
    });
    await (context as BrowserContext | null)?.close();
    await rm(profile, { recursive: true, force: true });
  },
});

export { expect } from '@playwright/test';
