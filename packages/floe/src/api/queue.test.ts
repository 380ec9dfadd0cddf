import { describe, expect, it } from 'vitest';
import { TurnQueue } from './queue.ts';

describe('TurnQueue', () => {
  it('gives turns in the order of the calls', async () => {
    const queue = new TurnQueue();
    const order: number[] = [];
    const call = async (n: number) => {
      const leave = await queue.enter();
      order.push(n);
      await Promise.resolve();
      leave();
    };
    await Promise.all([call(1), call(2), call(3)]);
    expect(order).toEqual([1, 2, 3]);
  });

  it('lets a call go whose signal fires while it waits, and those behind it keep their turns', async () => {
    const queue = new TurnQueue();
    const leave = await queue.enter();
    const controller = new AbortController();
    const aborted = queue.enter(controller.signal);
    const behind = queue.enter();
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'request/aborted' });
    leave();
    (await behind)();
    await queue.idle();
  });

  it('refuses one call more than its limit with request/busy, and takes it once another has left', async () => {
    const queue = new TurnQueue(1);
    const leave = await queue.enter();
    await expect(queue.enter()).rejects.toMatchObject({ code: 'request/busy', retryable: true });
    leave();
    (await queue.enter())();
  });
});
