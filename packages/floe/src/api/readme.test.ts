import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { testData } from '@floe/testkit/data';
import { testGpu } from '@floe/testkit/nodeGpu';
import { expect, it } from 'vitest';
import { nodeHost } from '../host/node.ts';
import type { LoadOptions } from './index.ts';
import { loadInThread } from './load.ts';

/** The README's example, run word for word; only where `loadModel` comes from and the address are the test's. */
it("the README's embed example answers", async () => {
  const readme = readFileSync(resolve(import.meta.dirname, '../../../../README.md'), 'utf8');
  const example = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  expect(example).toContain("import { loadModel } from 'floe';");
  const body = example.replace(/^import .*$/m, '');
  const said: unknown[][] = [];
  const loadModel = (_address: string, options: LoadOptions) =>
    loadInThread(nodeHost(testGpu()), { path: testData('arctic-tiny-sql-q4_0.gguf')! }, options);
  const AsyncFunction = (async () => {}).constructor as new (
    ...args: string[]
  ) => (...values: unknown[]) => Promise<void>;
  await new AsyncFunction('loadModel', 'console', body)(loadModel, { log: (...words: unknown[]) => said.push(words) });
  expect(said.some(([phase]) => phase === 'ready')).toBe(true);
  expect(
    said
      .filter((words) => words.length === 1)
      .flat()
      .join(''),
  ).toMatch(/^SELECT .*;$/);
}, 120_000);
