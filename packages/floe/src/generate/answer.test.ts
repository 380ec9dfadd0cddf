/** An answer of which all is known already: nothing is computed, and it ends as it would have. */
import { randomModel } from '@floe/testkit/randomModel';
import { describe, expect, it } from 'vitest';
import { parseHeader } from '../gguf/index.ts';
import { systemClock } from '../host/index.ts';
import type { ContextPlan } from '../model/index.ts';
import { createTokenizer, vocabularyFromMetadata } from '../text/index.ts';
import { answer, type Conversation } from './index.ts';

const bytes = randomModel({
  ...{ architecture: 'llama', nLayers: 1, modelDim: 32, nHeads: 2, nKvHeads: 2, ffDim: 32, nVocab: 300 },
  ...{ type: 'F32', seed: 1 },
});
const parsed = parseHeader(bytes, bytes.length);
if (parsed.kind !== 'done') throw new Error('the whole file is here');
const tokenizer = createTokenizer(vocabularyFromMetadata(parsed.gguf.metadata));
const prompt = [5, 6, 7, 8];

/** How the answer ends whose first ids these are, in a window of 8: after 4 of them it is full, and one more may be sampled. */
async function endOf(answered: readonly number[], overflow: ContextPlan['overflow'], maxTokens?: number) {
  const context: ContextPlan = { window: 8, nSinks: 4, overflow, kv: 'F32' };
  // Whoever asks it to compute something asks in vain.
  const conversation = { context, reuse: () => 0 } as unknown as Conversation;
  const parts = answer(conversation, tokenizer, systemClock, {
    ...{ prompt, answered, maxTokens, seed: 1, stops: [], endIds: new Set<number>(), continues: true },
    ...{ picking: { kind: 'greedy' }, onUnit: () => {}, signal: undefined, startMs: 0 },
  });
  let text = '';
  for await (const part of parts) {
    if (part.kind === 'text') text += part.text;
    if (part.kind === 'done') return { reason: part.reason, ids: part.ids, text };
  }
  throw new Error('it has no end');
}

describe('an answer that goes on where its window was full', () => {
  const full = [20, 21, 22, 23, 24];

  it("is context/full, as before it was saved, where `overflow` is 'error'", async () => {
    await expect(endOf(full, 'error')).rejects.toMatchObject({ code: 'context/full', details: { window: 8 } });
  });

  it("ends there, with all of its text, where it is 'stop'", async () => {
    expect(await endOf(full, 'stop')).toEqual({ reason: 'length', ids: full, text: tokenizer.detokenize(full) });
  });

  it('and one that had all the tokens it was to have ends so, whatever `overflow` is', async () => {
    for (const overflow of ['error', 'stop', 'slide'] as const)
      expect(await endOf(full.slice(1), overflow, 4)).toMatchObject({ reason: 'length', ids: full.slice(1) });
  });
});
