/** A folder that transformers wrote, with what transformers makes of it: nobody here had a hand in either. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { testData } from '@floe/testkit/data';
import { logSoftmax } from '@floe/testkit/expectNear';
import { referenceModel } from '@floe/testkit/referenceModel';
import { expect, it } from 'vitest';
import { nodeHost } from '../../host/node.ts';
import { openSource } from './index.ts';

const folder = testData('llama-from-hub')!;

/** Log-probabilities of ids 0 to 19 behind each position. */
const { ids, logprobs } = JSON.parse(readFileSync(join(folder, 'logprobs.json'), 'utf8')) as {
  readonly ids: readonly number[];
  readonly logprobs: readonly (readonly number[])[];
};

it('a BF16 Llama in shards, tied, with Llama 3’s rope, is the model that transformers takes it for', async () => {
  const source = await openSource(nodeHost(null), { path: `${folder}/` });
  const { logits } = referenceModel(await source.read(0, source.sizeBytes)).forward(ids);
  await source.close();
  let error = 0;
  for (const [position, row] of logits.entries()) {
    const found = logSoftmax(row);
    for (const [id, expected] of logprobs[position]!.entries())
      error = Math.max(error, Math.abs(found[id]! - expected));
  }
  // Both in float64, but for frequencies and their scaling, which transformers makes in F32; six digits were written.
  expect(error).toBeLessThan(2e-4);
  expect(logits).toHaveLength(24);
});
