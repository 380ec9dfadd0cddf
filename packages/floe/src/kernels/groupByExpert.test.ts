import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { BINDING_ALIGNMENT, type DeviceOptions, roundUp, whole } from '../gpu/index.ts';
import { groupByExpertReference } from './groupByExpert.reference.ts';
import { groupByExpert } from './groupByExpert.ts';
import { families, runThrice, testDevice, upload } from './testGraph.ts';

const random = seeded('groupByExpert');

const devices: DeviceOptions[] = [
  ...families.map((family) => ({ family })),
  { family: 'cooperative', limits: 'default' },
];

describe.each(devices)('groupByExpert, %o', (options) => {
  // 1 of 1: the least. 2 tokens among 128: almost all experts empty. 33 · 2 pairs among 17: no multiple of a workgroup.
  // 512 · 2 and 2300 · 2: lanes have stretches of several, the last ones none or a shorter one.
  it.each([
    { T: 1, nExperts: 1, k: 1 },
    { T: 5, nExperts: 1, k: 1 },
    { T: 2, nExperts: 128, k: 2 },
    { T: 33, nExperts: 17, k: 2 },
    { T: 100, nExperts: 3, k: 3 },
    { T: 512, nExperts: 128, k: 2 },
    { T: 2300, nExperts: 9, k: 2 },
  ])('equals the reference: T=$T, $k of $nExperts experts', async ({ T, nExperts, k }) => {
    const ids = Array.from({ length: T }, () => draw(nExperts, k)).flat();
    await expectGroups(options, ids, nExperts, k);
  });

  it.each([
    { what: 'only the first', ids: [0, 0, 0, 0, 0] },
    { what: 'only the last', ids: [4, 4, 4, 4, 4] },
    { what: 'none at either end', ids: [3, 1, 3, 1, 2] },
  ])('leaves experts empty and keeps the order of equals: $what', async ({ ids }) => {
    await expectGroups(options, ids, 5, 1);
  });
});

it('control: the groups of other ids are others', async () => {
  const other = groupByExpertReference([2, 0, 1, 0, 1], 3);
  for (const run of await group({}, [2, 0, 1, 1, 0], 3, 1)) expect(run).not.toEqual(other);
});

/** k different experts. */
function draw(nExperts: number, k: number): number[] {
  const first = random.int(0, nExperts - 1);
  return Array.from({ length: k }, (_, rank) => (first + rank) % nExperts);
}

async function expectGroups(options: DeviceOptions, ids: number[], nExperts: number, k: number): Promise<void> {
  const expected = groupByExpertReference(ids, nExperts);
  for (const run of await group(options, ids, nExperts, k)) expect(run).toEqual(expected);
}

async function group(options: DeviceOptions, ids: number[], nExperts: number, nExpertsUsed: number) {
  const device = await testDevice(options);
  // Both lists lie in one buffer, which a run fills anew.
  const offset = roundUp((nExperts + 1) * 4, BINDING_ALIGNMENT);
  const sizeBytes = roundUp(ids.length * 4, BINDING_ALIGNMENT);
  const { buffer } = whole(device.buffers.storage('other', 'groups', offset + sizeBytes));
  const unused = upload(device, new Uint32Array(ids.length));
  const route = {
    ids: upload(device, Uint32Array.from(ids)),
    weights: unused,
    slots: unused,
    starts: { buffer, offset: 0, sizeBytes: offset },
    sorted: { buffer, offset, sizeBytes },
    nExperts,
    nExpertsUsed,
  };
  const runs = await runThrice(
    device,
    (rec) => groupByExpert(rec, { route, nTokens: ids.length / nExpertsUsed, stage: 0 }),
    whole(buffer),
    (offset + sizeBytes) / 4,
    () => device.write(buffer, 0, new Uint8Array(offset + sizeBytes).fill(0xff)),
  );
  return runs.map((run) => {
    const values = new Uint32Array(run.buffer);
    return {
      starts: [...values.subarray(0, nExperts + 1)],
      sorted: [...values.subarray(offset / 4, offset / 4 + ids.length)],
    };
  });
}
