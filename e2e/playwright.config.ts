import { join } from 'node:path';
import { defineConfig } from '@playwright/test';
import { launchOptions } from './browser.ts';

const root = join(import.meta.dirname, '..');
const PORT = 4187;
const baseURL = `http://localhost:${PORT}`;

export default defineConfig({
  testDir: import.meta.dirname,
  testMatch: '*.spec.ts',
  outputDir: join(root, 'test-output/playwright'),
  reporter: [['list'], ['json', { outputFile: join(root, 'test-output/e2e.json') }]],
  // SwiftShader takes all the cores there are: tests side by side would only slow each other down.
  workers: 1,
  timeout: 120_000,
  expect: { timeout: 60_000 },
  use: { baseURL, launchOptions },
  // The page as it was built: `npm test` and `npm run build` do that.
  webServer: {
    command: `node ${JSON.stringify(join(root, 'node_modules/vite/bin/vite.js'))} preview --config vite.config.ts --host localhost --port ${PORT} --strictPort`,
    cwd: root,
    url: baseURL,
  },
});
