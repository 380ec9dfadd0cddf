/** Experts that cannot be had now: the answer waits or ends with an error, and the conversation goes on. */
import { describe, expect, it } from 'vitest';
import type { Runner } from './index.ts';
import { conversation, GREEDY, models, PROMPT } from './pagedAnswer.testing.ts';

const file = models[1]!.bytes();

describe('where an expert does not come', () => {
  it('says so, keeps the conversation, and goes on when it comes again', async () => {
    const { runner, store } = await conversation(file);
    const expected = await decodeIds(runner, 8);
    runner.rewind(0);
    store.fails = true;
    await expect(decodeIds(runner, 8)).rejects.toMatchObject({ code: 'experts/absent', retryable: true });
    store.fails = false;
    runner.rewind(0);
    expect(await decodeIds(runner, 8)).toEqual(expected);
  });

  it('goes on in the middle of an answer, at the token that failed', async () => {
    const { runner, store } = await conversation(file);
    const expected = await decodeIds(runner, 8);
    runner.rewind(0);
    const ids = [await (await runner.prefill(PROMPT, GREEDY, 0, () => {})).wait()];
    store.fails = true;
    while (ids.length < 8) {
      const position = runner.length;
      try {
        ids.push(await (await runner.decode(GREEDY, 0)).wait());
      } catch (error) {
        expect(error).toMatchObject({ code: 'experts/absent' });
        store.fails = false;
        runner.rewind(position);
      }
    }
    expect(store.nFailed).toBeGreaterThan(0);
    expect(ids).toEqual(expected);
  });

  it('can be aborted while it waits, and works afterwards', async () => {
    const { runner, store } = await conversation(file);
    const expected = await decodeIds(runner, 8);
    runner.rewind(0);
    store.hangs = true;
    const controller = new AbortController();
    const answering = decodeIds(runner, 8, controller.signal);
    setTimeout(() => controller.abort(), 20);
    await expect(answering).rejects.toMatchObject({ code: 'request/aborted' });
    store.hangs = false;
    runner.rewind(0);
    expect(await decodeIds(runner, 8)).toEqual(expected);
  });

  async function decodeIds(runner: Runner, n: number, signal?: AbortSignal): Promise<number[]> {
    const ids = [await (await runner.prefill(PROMPT, GREEDY, 0, () => {}, signal)).wait()];
    while (ids.length < n) ids.push(await (await runner.decode(GREEDY, 0, signal)).wait());
    return ids;
  }
});
