import { seeded } from '@floe/testkit/seeded';
import { expect, it } from 'vitest';
import { presentExperts } from './presentExperts.ts';
import { ABSENT } from './route.ts';
import { runThrice, testDevice, upload } from './testGraph.ts';

const random = seeded('presentExperts');

// 1: the least. 33 tokens of 2: no multiple of a workgroup.
it.each([
  { T: 1, k: 1 },
  { T: 33, k: 2 },
])('gives the ids of experts that have a slot, and of no other: T=$T, k=$k', async ({ T, k }) => {
  const device = await testDevice();
  const ids = Uint32Array.from({ length: T * k }, () => random.int(0, 16));
  const slots = ids.map((id) => (id % 3 === 1 ? ABSENT : 100 - id));
  const unused = upload(device, new Uint32Array(1));
  const route = {
    ids: upload(device, ids),
    weights: unused,
    slots: upload(device, slots),
    starts: unused,
    sorted: unused,
    nExperts: 17,
    nExpertsUsed: k,
  };
  const present = upload(device, new Uint32Array(T * k));
  const record = { route, present, nTokens: T, stage: 1 };
  for (const run of await runThrice(device, (rec) => presentExperts(rec, record), present, T * k)) {
    const expected = [...ids].map((id, pair) => (slots[pair] === ABSENT ? ABSENT : id));
    expect([...new Uint32Array(run.buffer, 0, T * k)]).toEqual(expected);
  }
});
