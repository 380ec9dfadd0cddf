import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { expect, it } from 'vitest';
import { whole } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { activate } from './activate.ts';
import { gegluReference, swigluReference } from './matmul.reference.ts';
import { paddedRows, runThrice, testDevice, unpadded, upload } from './testGraph.ts';

const random = seeded('activate');

// 45: neither whole groups nor a multiple of four, so that up begins anywhere. 96: three workgroups, whole.
it.each([
  { activation: 'swiglu', T: 1, dim: 45 },
  { activation: 'swiglu', T: 3, dim: 96 },
  { activation: 'geglu', T: 2, dim: 33 },
] as const)('equals the reference, and leaves the padding alone: $activation, T=$T, dim=$dim', async (one) => {
  const { activation, T, dim } = one;
  const device = await testDevice();
  const values = random.normals(T * 2 * dim, 3);
  // Beyond what exp can take.
  values[0] = -200;
  const reference = activation === 'swiglu' ? swigluReference : gegluReference;
  const gateUp = upload(device, paddedRows(values, 2 * dim));
  const y = whole(device.buffers.storage('other', 'y', T * rowStride(dim) * 4));
  const args = { gateUp, y, nRows: T, dim, activation, stage: 0 };
  for (const run of await runThrice(device, (rec) => activate(rec, args), y, T * rowStride(dim))) {
    expect(nmse(unpadded(run, dim), reference(Float64Array.from(values), T, dim))).toBeLessThan(1e-12);
    expect(run.filter((value, i) => i % rowStride(dim) >= dim && value !== 0)).toHaveLength(0);
  }
});
