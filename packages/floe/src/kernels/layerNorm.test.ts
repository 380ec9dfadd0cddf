import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { type DeviceOptions, whole } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { layerNormReference } from './layerNorm.reference.ts';
import { layerNorm } from './layerNorm.ts';
import { families, paddedRows, runThrice, testDevice, unpadded, upload } from './testGraph.ts';

/** Two sums of 6144 in f32, and differences from a mean ten times a deviation: 1e-5 at the worst, 1e-10 squared. */
const NMSE = 1e-6;
const EPS = 1e-5;
const random = seeded('layerNorm');
const devices: DeviceOptions[] = [
  ...families.map((family) => ({ family })),
  { family: 'cooperative', limits: 'default' },
];

describe.each(devices)('layerNorm, %o', (options) => {
  // 2: the least with a deviation. 45, 257: padding in the last vector, and in the last group. 6144: dbrx.
  it.each([2, 45, 257, 6144].flatMap((dim) => [false, true].map((hasBias) => ({ dim, hasBias }))))(
    'equals the reference, far from 0 too, and padding stays zero: modelDim=$dim bias $hasBias',
    async ({ dim, hasBias }) => {
      const T = 5;
      const x = random.normals(T * dim, 2).map((value) => value + 20);
      const [weight, bias] = [random.normals(dim), hasBias ? random.normals(dim) : null];
      const expected = layerNormReference(x, weight, bias, T, dim, EPS);
      for (const run of await norm(options, x, weight, bias, T, dim)) {
        expect(nmse(unpadded(run, dim), expected)).toBeLessThan(NMSE);
        expect(run).toEqual(paddedRows(unpadded(run, dim), dim));
      }
    },
  );

  it('control: without the mean taken off it is out of bounds', async () => {
    const dim = 64;
    const x = random.normals(dim).map((value) => value + 1);
    const weight = random.normals(dim);
    const [run] = await norm(options, x, weight, null, 1, dim);
    const root = Math.sqrt(x.reduce((sum, value) => sum + value ** 2, 0) / dim + EPS);
    expect(
      nmse(
        unpadded(run!, dim),
        x.map((value, i) => (value / root) * weight[i]!),
      ),
    ).toBeGreaterThan(NMSE);
  });
});

async function norm(
  options: DeviceOptions,
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array | null,
  nTokens: number,
  modelDim: number,
) {
  const device = await testDevice(options);
  const nValues = nTokens * rowStride(modelDim);
  const y = whole(device.buffers.storage('other', 'y', nValues * 4));
  const row = (values: Float32Array) => upload(device, paddedRows(values, modelDim));
  const views = { x: row(x), weight: row(weight), bias: bias && row(bias), y };
  return runThrice(device, (rec) => layerNorm(rec, { ...views, nTokens, modelDim, eps: EPS, stage: 0 }), y, nValues);
}
