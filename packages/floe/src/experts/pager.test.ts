/** The pager keeps its numbered invariants: call by call, in any order of calls, and in 10,000 schedules with a cache and a queue. */
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { ABSENT } from '../kernels/index.ts';
import { type Claim, Pager } from './pager.ts';
import { lruGlobal } from './policy.ts';
import { type Met, runSchedule } from './simulatedScript.testing.ts';
import type { Doubles } from './simulatedWorld.testing.ts';
import { ExpertSlots } from './slots.ts';
import { watchPager } from './watchPager.testing.ts';

const size = { nLayers: 3, nExperts: 4, nExpertsUsed: 2 };
/** Layers 0 and 2 share slots 0 and 1; layer 1 has slots 2 to 4. */
const classes = [
  { layers: [0, 2], nSlots: 2 },
  { layers: [1], nSlots: 3 },
];
const makePager = () => new Pager(size, classes, lruGlobal({ ...size, nSlots: 5 }));

function place(pager: Pager, key: number, token = 0): Claim {
  const claim = pager.claim(key, token)!;
  pager.arrived(claim);
  pager.used(key, token);
  return claim;
}

describe('a claim', () => {
  it('takes a free slot of its layer’s size, and then that of the policy’s victim, who is named no longer', () => {
    const pager = makePager();
    expect(place(pager, 0)).toEqual({ key: 0, slot: 0, evicted: null });
    expect(place(pager, 4)).toEqual({ key: 4, slot: 2, evicted: null });
    expect(place(pager, 8)).toEqual({ key: 8, slot: 1, evicted: null });
    expect(pager.claim(1, 0)).toEqual({ key: 1, slot: 0, evicted: 0 });
    expect(pager.isNamed(0)).toBe(false);
    expect(pager.slotOf[8]).toBe(1);
  });

  it('names nothing before it arrived', () => {
    const pager = makePager();
    const claim = pager.claim(5, 0)!;
    expect([pager.slotOf[5], pager.isNamed(5), pager.isLoading(5), [...pager.named()]]).toEqual([
      ABSENT,
      false,
      true,
      [],
    ]);
    pager.arrived(claim);
    expect([pager.slotOf[5], pager.isNamed(5), pager.isLoading(5), [...pager.named()]]).toEqual([2, true, false, [5]]);
  });

  it('is refused where each slot of its size is pinned or loading, and is not where one is unpinned', () => {
    const pager = makePager();
    place(pager, 0);
    pager.pin(0);
    pager.pin(0);
    pager.claim(8, 0);
    expect(pager.claim(1, 0)).toBeNull();
    pager.unpin(0);
    expect(pager.claim(1, 0)).toBeNull();
    expect(pager.claim(4, 0)).toEqual({ key: 4, slot: 2, evicted: null });
    pager.unpin(0);
    expect(pager.claim(1, 0)).toEqual({ key: 1, slot: 0, evicted: 0 });
  });

  it('that failed leaves a free slot, and its expert can be claimed again', () => {
    const pager = makePager();
    place(pager, 0);
    place(pager, 1);
    const claim = pager.claim(2, 1)!;
    expect([claim.evicted, pager.nFree(0)]).toEqual([0, 0]);
    pager.failed(claim);
    expect([pager.isLoading(2), pager.nFree(2), pager.nFree(1)]).toEqual([false, 1, 3]);
    expect(pager.claim(2, 1)).toEqual({ key: 2, slot: claim.slot, evicted: null });
  });
});

describe('a guess', () => {
  const full = () => {
    const pager = makePager();
    place(pager, 0, 7);
    place(pager, 8, 8);
    return pager;
  };
  it.each([
    // Used two tokens ago; three.
    { token: 9, held: -1, evicted: undefined },
    { token: 10, held: -1, evicted: 0 },
    // Its layer's experts are not submitted yet.
    { token: 10, held: 0, evicted: undefined },
    { token: 11, held: 0, evicted: 8 },
  ])('at token $token while layer $held is held evicts $evicted', ({ token, held, evicted }) => {
    const pager = full();
    if (held >= 0) pager.hold(held);
    expect(pager.claimAhead(1, token)?.evicted).toBe(evicted);
  });
  it('evicts none that is pinned', () => {
    const pager = full();
    pager.pin(0);
    pager.pin(8);
    expect(pager.claimAhead(1, 99)).toBeNull();
  });
  it('takes a free slot, whatever is held', () => {
    const pager = makePager();
    place(pager, 0);
    pager.hold(0);
    expect(pager.claimAhead(1, 0)).toEqual({ key: 1, slot: 1, evicted: null });
  });
});

describe('what is expected', () => {
  const full = () => {
    const pager = makePager();
    place(pager, 0, 1);
    place(pager, 8, 9);
    // The policy's victim would be 0.
    pager.expect(0, 20);
    return pager;
  };
  it('stays where a demand can have another', () => {
    expect(full().claim(1, 20)?.evicted).toBe(8);
  });
  it('goes where a demand can have no other', () => {
    const pager = full();
    pager.pin(8);
    expect(pager.claim(1, 20)?.evicted).toBe(0);
  });
  it('never goes for a guess', () => {
    const pager = full();
    pager.pin(8);
    expect(pager.claimAhead(1, 20)).toBeNull();
  });
  it('is so until its layer has passed', () => {
    const pager = full();
    pager.passed(0);
    expect(pager.claim(1, 20)?.evicted).toBe(0);
  });
  it('is so for two tokens, if nobody says that its layer has passed', () => {
    expect(full().claim(1, 22)?.evicted).toBe(8);
    expect(full().claim(1, 23)?.evicted).toBe(0);
  });
});

it('of a layer that is held nobody goes, until it is let go as often', () => {
  const pager = makePager();
  place(pager, 0, 1);
  place(pager, 8, 9);
  pager.hold(0);
  pager.hold(0);
  pager.pin(8);
  expect(pager.claim(1, 20)).toBeNull();
  pager.letGo(0);
  expect(pager.claim(1, 20)).toBeNull();
  pager.letGo(0);
  expect(pager.claim(1, 20)?.evicted).toBe(0);
});

it('all are resident only while each expert of each layer has a slot', () => {
  const wide = new Pager(size, [{ layers: [0, 1, 2], nSlots: 12 }], lruGlobal({ ...size, nSlots: 12 }));
  for (let key = 0; key < 11; key++) place(wide, key);
  const last = wide.claim(11, 0)!;
  expect(wide.allResident).toBe(false);
  wide.arrived(last);
  expect([wide.allResident, [...wide.named(1)], wide.nSlots(1)]).toEqual([true, [4, 5, 6, 7], 12]);
});

/** Calls in an order that no cache makes: loads of many at once, any of which ends next, under pins of anybody. */
it('any order of claims, ends and pins keeps its books', () => {
  let nClaims = 0;
  for (let seed = 0; seed < 2000; seed++) {
    const broken = (what: string): never => {
      throw new Error(`walk ${seed}: ${what}`);
    };
    const pager = makePager();
    const watch = watchPager(pager, classes, size.nExperts, broken);
    nClaims += walk(pager, seed);
    watch.atEnd();
  }
  expect(nClaims).toBeGreaterThan(20_000);
});

/** A hundred calls, and the end of all that was begun; how many claims there were. */
function walk(pager: Pager, seed: number): number {
  const random = seeded(seed);
  const claims: Claim[] = [];
  const pinned: number[] = [];
  const held: number[] = [];
  let nClaims = 0;
  const endOne = () => {
    const claim = claims.splice(random.int(0, claims.length - 1), 1)[0]!;
    if (random.uniform() < 0.7) pager.arrived(claim);
    else pager.failed(claim);
  };
  for (let token = 0; token < 100; token++) {
    const key = random.int(0, 11);
    const call = random.int(0, 8);
    if (call === 0 && pinned.length > 0) pager.unpin(pinned.splice(random.int(0, pinned.length - 1), 1)[0]!);
    else if (call === 1 && pinned.length < 4) pager.pin(pinned[pinned.push(key) - 1]!);
    else if (call === 2) pager.used(key, token >> 2);
    else if (call === 3 && claims.length > 0) endOne();
    else if (call === 6) pager.expect(key, token >> 2);
    else if (call === 7 && random.uniform() < 0.5) pager.passed(key);
    else if (call === 8 && held.length > 0) pager.letGo(held.pop()!);
    else if (call === 8) pager.hold(held[held.push(random.int(0, 2)) - 1]!);
    else if (!pager.isNamed(key) && !pager.isLoading(key)) {
      const claim = call === 4 ? pager.claimAhead(key, token >> 2) : pager.claim(key, token >> 2);
      if (claim) nClaims += claims.push(claim) && 1;
    }
  }
  while (claims.length > 0) endOne();
  for (const key of pinned) pager.unpin(key);
  for (const layer of held) pager.letGo(layer);
  return nClaims;
}

/** Schedules at a time: they wait for each event as one. */
const AT_ONCE = 32;

/** Runs the schedules of seeds from 0; what they met together, or the first failure of any. */
async function runSchedules(nSchedules: number, doubles?: Doubles, nSessions = 1): Promise<Met> {
  const sum: Met = { steps: 0, prompts: 0, failures: 0, aborts: 0, hits: 0, misses: 0, evictions: 0, guesses: 0 };
  let seed = 0;
  const some = async () => {
    while (seed < nSchedules) {
      const met = await runSchedule(seed++, doubles, nSessions);
      for (const name of Object.keys(sum) as (keyof Met)[]) sum[name] += met[name];
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, some));
  } finally {
    // After a failure the others end with the schedule they are at.
    seed = nSchedules;
  }
  return sum;
}

/**
 * Of each: what executes reads the bytes of the expert it means; the table names a slot only behind its bytes; no slot has
 * two owners; who waits gets its experts, or the reason; memory keeps its budget; pins and claims end; a step that failed
 * works when it is tried again. To repeat one: `await runSchedule(seed)`.
 */
describe('under simulation', () => {
  it('10,000 schedules of loads, failures, aborts, evictions, guesses and submissions break no invariant', async () => {
    const met = await runSchedules(10_000);
    // Each kind of event was there to break something.
    expect(met.steps).toBeGreaterThan(15_000);
    expect(met.prompts).toBeGreaterThan(4000);
    expect(met.failures).toBeGreaterThan(4000);
    expect(met.aborts).toBeGreaterThan(1000);
    expect(met.hits).toBeGreaterThan(30_000);
    expect(met.misses).toBeGreaterThan(50_000);
    expect(met.evictions).toBeGreaterThan(30_000);
    expect(met.guesses).toBeGreaterThan(5000);
    // Five seconds of work; a busy machine takes longer.
  }, 240_000);

  it('schedules of two and of three sessions, whose steps interleave, break none either', async () => {
    for (const nSessions of [2, 3]) {
      const met = await runSchedules(500, {}, nSessions);
      expect(met.steps).toBeGreaterThan(750 * nSessions);
      expect(met.prompts).toBeGreaterThan(200 * nSessions);
      expect(met.failures).toBeGreaterThan(150 * nSessions);
      expect(met.aborts).toBeGreaterThan(25 * nSessions);
      expect(met.evictions).toBeGreaterThan(2000 * nSessions);
    }
  }, 120_000);

  class NamesAtOnce extends Pager {
    override claim(key: number, token: number): Claim | null {
      const claim = super.claim(key, token);
      if (claim) this.slotOf[key] = claim.slot;
      return claim;
    }
  }
  class IgnoresPins extends Pager {
    override pin(): void {}
    override unpin(): void {}
  }
  class HandsOutTwice extends Pager {
    private last: Claim | null = null;
    override claim(key: number, token: number): Claim | null {
      const { last } = this;
      this.last = super.claim(key, token);
      // To another expert of the same layer, so that it is of the right size.
      if (last && this.isLoading(last.key) && Math.abs(last.key - key) === 1)
        return { key, slot: last.slot, evicted: null };
      return this.last;
    }
  }
  class KeepsTheSlotOfAFailure extends Pager {
    override failed(): void {}
  }
  class GuessesOverAll extends Pager {
    override claimAhead(key: number, token: number): Claim | null {
      return super.claim(key, token);
    }
  }
  class HoldsNothing extends Pager {
    override hold(): void {}
    override letGo(): void {}
  }
  class ExpectsNothing extends Pager {
    override expect(): void {}
  }
  class NamesBeforeTheBytes extends ExpertSlots {
    override fill(key: number, slot: number, record: Uint8Array): void {
      super.fill(key, slot, new Uint8Array(0));
      super.fill(key, slot, record);
    }
  }
  class Remembers extends ExpertSlots {
    override forget(): void {}
  }
  class Overruns extends ExpertSlots {
    override fill(key: number, slot: number, record: Uint8Array): void {
      super.fill(key, slot, Uint8Array.from([...record, 0, 0, 0, 0]));
    }
  }

  it.each<[string, Doubles, RegExp]>([
    ['a pager that names a slot when it hands it out', { Pager: NamesAtOnce }, /expert \d+ is named before its bytes/],
    ['a pager without pins', { Pager: IgnoresPins }, /expert \d+ is pinned and was evicted/],
    ['a pager that hands a slot out twice', { Pager: HandsOutTwice }, /slot \d+ was handed out twice/],
    [
      'a pager that keeps the slot of a failure',
      { Pager: KeepsTheSlotOfAFailure },
      /are named and \d+ are free|no slot for/,
    ],
    [
      'a pager whose guesses take any slot',
      { Pager: GuessesOverAll },
      /a guess evicts expert \d+, (just used|which is expected)/,
    ],
    [
      'a table that names a slot before its bytes',
      { Slots: NamesBeforeTheBytes },
      /the table names expert \d+ in slot/,
    ],
    ['a table that still names who was evicted', { Slots: Remembers }, /the table differs/],
    ['slots that are filled beyond their end', { Slots: Overruns }, /out of bounds|the pager names expert \d+ in slot/],
    ['a pager that expects nothing', { Pager: ExpectsNothing }, /expert \d+(, which)? is expected/],
    ['a pager that holds no layer', { Pager: HoldsNothing }, /an expert of layer \d+, whose routing may have run/],
  ])('control: %s is caught', async (_, doubles, message) => {
    await expect(runSchedules(3000, doubles)).rejects.toThrow(message);
  });

  it('control: sessions that know nothing of each other’s layers read each other’s experts', async () => {
    await expect(runSchedules(3000, { Pager: HoldsNothing, holdsUnwatched: true }, 2)).rejects.toThrow(
      /a submission reads expert \d+ in slot/,
    );
  });
});
