/** Each bundled model answers its set's questions as an independent engine does; `pnpm eval` asks all of them. */
import { readFileSync } from 'node:fs';
import { testData } from '@floe/testkit/data';
import { testGpu } from '@floe/testkit/nodeGpu';
import { describe, expect, it } from 'vitest';
import { loadInThread } from '../packages/floe/src/api/index.ts';
import { nodeHost } from '../packages/floe/src/host/node.ts';
import { evaluate, readSet } from './evaluate.ts';

/** Questions asked of each model here, spread over its set. */
const N_QUESTIONS = 10;

const models = [
  ['arctic-tiny-sql-f32.gguf', 'eval.jsonl'],
  ['arctic-tiny-sql-q8_0.gguf', 'eval.jsonl'],
  ['arctic-tiny-sql-q4_0.gguf', 'eval.jsonl'],
  ['arctic-mini-sql-q8_0.gguf', 'eval-mini.jsonl'],
  ['arctic-mini-sql-q4_0.gguf', 'eval-mini.jsonl'],
] as const;

describe('greedy answers', { timeout: 240_000 }, () => {
  // Only some of the models are in the repository.
  const cases = models.map(([file, set]) => ({ file, set, path: testData(file) }));
  it.each(cases.filter(({ path }) => path === null))('of $file', { skip: true }, () => {});
  it.each(cases.filter(({ path }) => path !== null))('of $file are the recorded ones', async ({ set, path }) => {
    const all = readSet(readFileSync(testData(set)!, 'utf8'));
    const items = all.filter((_, i) => i % Math.floor(all.length / N_QUESTIONS) === 0).slice(0, N_QUESTIONS);
    await using model = await loadInThread(nodeHost(testGpu()), { path: path! });
    const different: string[] = [];
    const result = await evaluate(model, items, {
      onAnswer: ({ answer, recorded }) => {
        if (answer !== recorded) different.push(`${answer}   instead of   ${recorded}`);
      },
    });
    // llama.cpp rounds activations and Floe does not: one close call of ten may fall the other way.
    expect(different.length, different.join('\n')).toBeLessThanOrEqual(1);
    expect(result.n).toBe(N_QUESTIONS);
  });
});
