/** A guess waits while anything is demanded, and no demand waits for a guess. */
import { expect, it } from 'vitest';
import { DemandFirst } from './demandFirst.ts';

/** Work that ends when told, and tells when it begins. */
function work(name: string, log: string[]) {
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const run = async () => {
    log.push(name);
    await ended;
  };
  return { run, end };
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

it('begins a guess only when the last demand is done; demands begin at once', async () => {
  const log: string[] = [];
  const reads = new DemandFirst();
  const [one, two, guess, three] = ['one', 'two', 'guess', 'three'].map((name) => work(name, log)) as [W, W, W, W];
  const running = [
    reads.run('demand', undefined, one.run),
    reads.run('ahead', undefined, guess.run),
    reads.run('demand', undefined, two.run),
  ];
  one.end();
  await turn();
  expect(log).toEqual(['one', 'two']);
  two.end();
  await turn();
  expect(log).toEqual(['one', 'two', 'guess']);
  running.push(reads.run('demand', undefined, three.run));
  expect(log.at(-1)).toBe('three');
  guess.end();
  three.end();
  await Promise.all(running);
});

it('ends a guess that waits when its signal fires, and goes on after a demand that failed', async () => {
  const log: string[] = [];
  const reads = new DemandFirst();
  const abort = new AbortController();
  const demand = work('demand', log);
  const failing = reads.run('demand', undefined, async () => {
    await demand.run();
    throw new Error('failed');
  });
  const stopped = reads.run('ahead', abort.signal, work('stopped', log).run);
  const guess = work('guess', log);
  const waiting = reads.run('ahead', undefined, guess.run);
  abort.abort();
  await expect(stopped).rejects.toMatchObject({ code: 'request/aborted' });
  demand.end();
  await expect(failing).rejects.toThrow('failed');
  guess.end();
  await waiting;
  expect(log).toEqual(['demand', 'guess']);
});

type W = ReturnType<typeof work>;
