import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import type { DeviceOptions } from '../gpu/index.ts';
import { groupNorm } from './groupNorm.ts';
import { rmsNormReference } from './rmsNorm.reference.ts';
import { families, runThrice, testDevice, upload } from './testGraph.ts';

/** A sum of 2048 squares in f32 is good to 1e-6 at the worst, 1e-12 squared; 1e-6 is the house's bound. */
const NMSE = 1e-6;
const EPS = 1e-6;
const random = seeded('groupNorm');
const devices: DeviceOptions[] = [
  ...families.map((family) => ({ family })),
  { family: 'cooperative', limits: 'default' },
];

describe.each(devices)('groupNorm, %o', (options) => {
  // 4: the least. 3 groups of 5 tokens: no multiple of a workgroup. One of 2048: olmoe. 128 behind 256: qwen3's keys.
  it.each([
    { T: 1, nGroups: 1, groupDim: 4, stride: 32, offset: 0 },
    { T: 5, nGroups: 3, groupDim: 20, stride: 96, offset: 12 },
    { T: 2, nGroups: 1, groupDim: 2048, stride: 4096, offset: 2048 },
    { T: 3, nGroups: 2, groupDim: 128, stride: 512, offset: 256 },
  ])(
    'norms each group as a row, and nothing beside them: T=$T $nGroups groups of $groupDim at $offset of $stride',
    async ({ T, nGroups, groupDim, stride, offset }) => {
      const device = await testDevice(options);
      const [x, weight] = [random.normals(T * stride, 3), random.normals(groupDim)];
      const y = upload(device, x);
      const args = {
        y,
        weight: upload(device, weight),
        nTokens: T,
        nGroups,
        groupDim,
        stride,
        offset,
        eps: EPS,
        stage: 0,
      };
      const runs = await runThrice(
        device,
        (rec) => groupNorm(rec, args),
        y,
        x.length,
        () => device.write(y.buffer, 0, new Uint8Array(x.slice().buffer)),
      );
      for (const run of runs) {
        for (let t = 0; t < T; t++) {
          const row = [
            t * stride,
            t * stride + offset,
            t * stride + offset + nGroups * groupDim,
            (t + 1) * stride,
          ] as const;
          const expected = rmsNormReference(x.subarray(row[1], row[2]), weight, nGroups, groupDim, EPS);
          expect(nmse(run.subarray(row[1], row[2]), expected)).toBeLessThan(NMSE);
          expect(run.subarray(row[0], row[1])).toEqual(x.subarray(row[0], row[1]));
          expect(run.subarray(row[2], row[3])).toEqual(x.subarray(row[2], row[3]));
        }
      }
    },
  );
});
