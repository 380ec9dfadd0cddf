/** Experts that cannot be had now: the answer waits or ends with an error, and the conversation goes on. */
import { describe, expect, it } from 'vitest';
import type { Conversation } from './index.ts';
import { GREEDY, models, PROMPT, startPaged } from './pagedAnswer.testing.ts';

const file = models[1]!.bytes();

describe('where an expert does not come', () => {
  it('says so, keeps the conversation, and goes on when it comes again', async () => {
    const { conversation, store } = await startPaged(file);
    const expected = await decodeIds(conversation, 8);
    conversation.rewind(0);
    store.fails = true;
    await expect(decodeIds(conversation, 8)).rejects.toMatchObject({ code: 'experts/absent', retryable: true });
    store.fails = false;
    conversation.rewind(0);
    expect(await decodeIds(conversation, 8)).toEqual(expected);
  });

  it('goes on in the middle of an answer, at the token that failed', async () => {
    const { conversation, store } = await startPaged(file);
    const expected = await decodeIds(conversation, 8);
    conversation.rewind(0);
    const ids = [await (await conversation.prefill(PROMPT, GREEDY, 0, () => {})).wait()];
    store.fails = true;
    while (ids.length < 8) {
      const position = conversation.length;
      try {
        ids.push(await (await conversation.decode(GREEDY, 0)).wait());
      } catch (error) {
        expect(error).toMatchObject({ code: 'experts/absent' });
        store.fails = false;
        conversation.rewind(position);
      }
    }
    expect(store.nFailed).toBeGreaterThan(0);
    expect(ids).toEqual(expected);
  });

  it('can be aborted while it waits, and works afterwards', async () => {
    const { conversation, store } = await startPaged(file);
    const expected = await decodeIds(conversation, 8);
    conversation.rewind(0);
    store.hangs = true;
    const controller = new AbortController();
    const answering = decodeIds(conversation, 8, controller.signal);
    setTimeout(() => controller.abort(), 20);
    await expect(answering).rejects.toMatchObject({ code: 'request/aborted' });
    store.hangs = false;
    // Nothing is left that did not go through all layers.
    expect(conversation.length).toBe(0);
    conversation.rewind(0);
    expect(await decodeIds(conversation, 8)).toEqual(expected);
  });

  async function decodeIds(conversation: Conversation, n: number, signal?: AbortSignal): Promise<number[]> {
    const ids = [await (await conversation.prefill(PROMPT, GREEDY, 0, () => {}, signal)).wait()];
    while (ids.length < n) ids.push(await (await conversation.decode(GREEDY, 0, signal)).wait());
    return ids;
  }
});
