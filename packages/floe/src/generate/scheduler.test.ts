import { describe, expect, it } from 'vitest';
import { Scheduler } from './scheduler.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A device that takes some turns for a step, and tells in order what it was given. */
function device(mostRows = 8, takesTurns = 2) {
  const log: string[] = [];
  let inFlight = 0;
  /** Steps the device had yet to do when the next one came. */
  const depths: number[] = [];
  let failing: Error | null = null;
  const scheduler = new Scheduler<string, { wait: () => Promise<string> }>({
    mostRows: () => mostRows,
    turn,
    runStep: async (rows) => {
      if (failing) {
        const error = failing;
        failing = null;
        throw error;
      }
      log.push(`step ${[...rows].sort().join('')}`);
      depths.push(inFlight++);
      const done = (async () => {
        for (let i = 0; i < takesTurns; i++) await turn();
        inFlight--;
      })();
      return { results: rows.map((row) => ({ wait: () => done.then(() => row) })), done: () => done };
    },
  });
  const fail = (error: Error) => {
    failing = error;
  };
  return { scheduler, log, depths, fail };
}

type Device = ReturnType<typeof device>;

/** Decodes `n` tokens, one step ahead of the last id it knows, as an answer does. */
async function decode({ scheduler }: Device, name: string, n: number, perToken = async () => {}): Promise<void> {
  const member = scheduler.enter();
  let pending = await scheduler.step(name, member);
  for (let i = 1; i < n; i++) {
    const ahead = await scheduler.step(name, member);
    await pending.wait();
    await perToken();
    pending = ahead;
  }
  await pending.wait();
  scheduler.leave(member);
}

async function prompt({ scheduler, log }: Device, name: string, nUnits: number): Promise<void> {
  await scheduler.prompt(async ({ between }) => {
    for (let unit = 0; unit < nUnits; unit++) {
      await between();
      log.push(`unit ${name}`);
      await turn();
    }
  });
}

describe('steps', () => {
  it('of one conversation go one behind the other', async () => {
    const one = device();
    await decode(one, 'a', 5);
    expect(one.log).toEqual(Array(5).fill('step a'));
  });

  it('are shared by all who decode', async () => {
    const one = device();
    await Promise.all([decode(one, 'a', 6), decode(one, 'b', 6), decode(one, 'c', 6)]);
    const shared = one.log.filter((entry) => entry === 'step abc').length;
    expect(shared).toBeGreaterThanOrEqual(5);
    expect(one.log.join('').replace(/[^abc]/g, '').length).toBe(18);
  });

  it('of several come before the one before is done, as they ask ahead', async () => {
    const one = device(8, 6);
    await Promise.all(['a', 'b', 'c'].map((name) => decode(one, name, 12)));
    expect(one.log.filter((entry) => entry === 'step abc').length).toBeGreaterThanOrEqual(11);
    expect(one.depths.filter((depth) => depth > 0).length).toBeGreaterThanOrEqual(10);
  });

  it('hold no more rows than there may be, and leave nobody out', async () => {
    const one = device(2);
    await Promise.all(['a', 'b', 'c'].map((name) => decode(one, name, 4)));
    for (const entry of one.log) expect(entry.length).toBeLessThanOrEqual('step ab'.length);
    for (const name of ['a', 'b', 'c'])
      expect(one.log.filter((entry) => entry.slice(5).includes(name))).toHaveLength(4);
  });

  it('do not wait for one who reads slowly', async () => {
    const one = device();
    let slowDone = false;
    const slowly = async () => {
      for (let i = 0; i < 50; i++) await turn();
    };
    const slow = decode(one, 's', 4, slowly).then(() => {
      slowDone = true;
    });
    await decode(one, 'q', 8);
    expect(slowDone).toBe(false);
    await slow;
  });

  it('come before the one before is done, though another has stopped reading; who reads on is shared with again', async () => {
    const one = device(8, 6);
    let goOn = () => {};
    const stopped = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let nRead = 0;
    const silent = decode(one, 's', 12, async () => {
      if (++nRead === 2) await stopped;
    });
    await decode(one, 'q', 20);
    // All but those around the one wait for who then was silent.
    const alone = one.log.flatMap((entry, i) => (entry === 'step q' ? [one.depths[i]!] : []));
    expect(alone.length).toBeGreaterThan(12);
    expect(alone.filter((depth) => depth === 0).length).toBeLessThanOrEqual(2);
    const before = one.log.length;
    goOn();
    await Promise.all([silent, decode(one, 'q', 8)]);
    expect(one.log.slice(before).filter((entry) => entry === 'step qs').length).toBeGreaterThanOrEqual(6);
  });

  it('that fail, fail for whom they were, and the next goes on', async () => {
    const one = device();
    one.fail(new Error('lost'));
    await expect(one.scheduler.step('a')).rejects.toThrow('lost');
    await decode(one, 'b', 2);
    expect(one.log).toEqual(['step b', 'step b']);
  });
});

describe('prompts', () => {
  it('go one after another, in their order', async () => {
    const one = device();
    await Promise.all([prompt(one, 'a', 3), prompt(one, 'b', 2), prompt(one, 'c', 1)]);
    expect(one.log).toEqual(['unit a', 'unit a', 'unit a', 'unit b', 'unit b', 'unit c']);
  });

  it('let those who decode have a step between two units', async () => {
    const one = device();
    const decoding = decode(one, 'd', 12);
    await turn();
    await prompt(one, 'p', 8);
    await decoding;
    expect(mostUnitsBetween(one.log, 'd')).toBe(1);
  });

  it('the same for several who decode, whose prompts wait for each other', async () => {
    const one = device();
    const decoding = [decode(one, 'd', 20), decode(one, 'e', 20)];
    await turn();
    await Promise.all([prompt(one, 'p', 6), prompt(one, 'q', 6), ...decoding]);
    for (const name of ['d', 'e']) expect(mostUnitsBetween(one.log, name)).toBe(1);
  });

  it('the same where those who decode are more than a step has rows', async () => {
    for (const mostRows of [1, 2]) {
      const one = device(mostRows);
      const names = ['d', 'e', 'f'];
      const decoding = names.map((name) => decode(one, name, 20));
      await turn();
      await Promise.all([prompt(one, 'p', 8), ...decoding]);
      for (const name of names) expect(mostUnitsBetween(one.log, name)).toBe(1);
    }
  });

  it('control: units that nobody is let between', async () => {
    const one = device();
    const decoding = decode(one, 'd', 12);
    await turn();
    await one.scheduler.prompt(async () => {
      for (let unit = 0; unit < 8; unit++) one.log.push('unit p');
    });
    await decoding;
    expect(mostUnitsBetween(one.log, 'd')).toBe(8);
  });

  it('that fail are no hindrance to what follows', async () => {
    const one = device();
    const broken = one.scheduler.prompt(async () => {
      throw new Error('broken');
    });
    const next = prompt(one, 'b', 1);
    await expect(broken).rejects.toThrow('broken');
    await next;
    await decode(one, 'a', 2);
    expect(one.log).toEqual(['unit b', 'step a', 'step a']);
    await one.scheduler.idle();
  });

  it('that wait for bytes hold up no step', async () => {
    const one = device();
    let came = () => {};
    const bytes = new Promise<void>((resolve) => {
      came = resolve;
    });
    const waiting = one.scheduler.prompt(async ({ between, aside }) => {
      await between();
      await aside(bytes);
      await between();
      one.log.push('unit p');
    });
    await decode(one, 'd', 6);
    expect(one.log).toEqual(Array(6).fill('step d'));
    came();
    await waiting;
    expect(one.log.at(-1)).toBe('unit p');
  });

  it('that nobody wants any longer never run, and pass their turn on', async () => {
    const one = device();
    const first = prompt(one, 'a', 2);
    const gone = new AbortController();
    const second = one.scheduler.prompt(async () => one.log.push('unit b'), gone.signal);
    const third = prompt(one, 'c', 1);
    gone.abort();
    await expect(second).rejects.toMatchObject({ code: 'request/aborted' });
    await Promise.all([first, third]);
    expect(one.log).toEqual(['unit a', 'unit a', 'unit c']);
  });
});

/** Units between two steps of one who decodes, at the most. */
function mostUnitsBetween(log: readonly string[], name: string): number {
  const steps = log.flatMap((entry, at) => (entry.startsWith('step') && entry.slice(5).includes(name) ? [at] : []));
  expect(steps.length).toBeGreaterThan(2);
  return Math.max(
    ...steps.slice(1).map((at, i) => log.slice(steps[i]!, at).filter((entry) => entry.startsWith('unit')).length),
  );
}
