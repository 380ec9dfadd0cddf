import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { defineConfig } from '@playwright/test';
import { launchOptions } from './browser.ts';

const root = join(import.meta.dirname, '..');
// A free port, so that test runs side by side don't meet. The workers read this file again and find it taken over.
process.env.FLOE_E2E_PORT ??= String(await freePort());
const port = process.env.FLOE_E2E_PORT;
const baseURL = `http://localhost:${port}`;

export default defineConfig({
  testDir: import.meta.dirname,
  testMatch: '*.spec.ts',
  outputDir: join(root, 'test-output/playwright'),
  reporter: [['list'], ['json', { outputFile: join(root, 'test-output/e2e.json') }]],
  // SwiftShader takes all the cores there are: tests side by side would only slow each other down.
  workers: 1,
  // A test that passes only now and then has found something.
  retries: 0,
  timeout: 120_000,
  expect: { timeout: 60_000 },
  use: { baseURL, launchOptions },
  // The page as it was built: `npm test` and `npm run build` do that.
  webServer: {
    command: `node ${JSON.stringify(join(root, 'node_modules/vite/bin/vite.js'))} preview --config vite.config.ts --host localhost --port ${port} --strictPort`,
    cwd: root,
    url: baseURL,
  },
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, 'localhost', () => {
      const { port: free } = server.address() as AddressInfo;
      server.close(() => resolve(free));
    });
  });
}
