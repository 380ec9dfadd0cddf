import { seeded } from '@floe/testkit/seeded';
import { expect, it } from 'vitest';
import type { DeviceOptions } from '../gpu/index.ts';
import { lookup } from './lookup.ts';
import { ABSENT } from './route.ts';
import { runThrice, testDevice, upload } from './testGraph.ts';

const random = seeded('lookup');

// 1: the least. 33 tokens of 2: no multiple of a workgroup.
it.each<DeviceOptions & { T: number; k: number; nExperts: number }>([
  { T: 1, k: 1, nExperts: 1 },
  { T: 33, k: 2, nExperts: 17 },
  { T: 300, k: 2, nExperts: 128, limits: 'default' },
])('gives each pair its expert’s slot, or absent: T=$T, $k of $nExperts', async ({ T, k, nExperts, ...options }) => {
  const device = await testDevice(options);
  const ids = Uint32Array.from({ length: T * k }, () => random.int(0, nExperts - 1));
  const table = Uint32Array.from({ length: nExperts }, (_, id) => (id % 3 === 1 ? ABSENT : 1000 - id));
  const unused = upload(device, new Uint32Array(1));
  const route = {
    ids: upload(device, ids),
    weights: unused,
    slots: upload(device, new Uint32Array(T * k)),
    starts: unused,
    sorted: unused,
    nExperts,
    nExpertsUsed: k,
  };
  const waveTable = upload(device, table);
  const runs = await runThrice(
    device,
    (rec) => lookup(rec, { route, waveTable, nTokens: T, stage: 1 }),
    route.slots,
    T * k,
  );
  for (const run of runs) {
    expect([...new Uint32Array(run.buffer, 0, T * k)]).toEqual([...ids].map((id) => table[id]));
  }
});
