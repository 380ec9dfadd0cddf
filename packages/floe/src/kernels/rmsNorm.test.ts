import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { type DeviceOptions, whole } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { rmsNormReference } from './rmsNorm.reference.ts';
import { rmsNorm } from './rmsNorm.ts';
import { families, paddedRows, runThrice, testDevice, unpadded, upload } from './testGraph.ts';

/** A sum of 7168 squares in f32 is good to 1e-6 at the worst, 1e-12 squared; 1e-6 is the house's bound. */
const NMSE = 1e-6;
const EPS = 1e-5;
const random = seeded('rmsNorm');
const devices: DeviceOptions[] = [
  ...families.map((family) => ({ family })),
  { family: 'cooperative', limits: 'default' },
];

describe.each(devices)('rmsNorm, %o', (options) => {
  // 1: a row that is all padding but one. 255, 256, 257: a last group of 32 almost full, full, almost empty. 7168: arctic.
  // T 5: no multiple of the rows a workgroup takes.
  it.each([1, 255, 256, 257, 7168].flatMap((dim) => [1, 5].map((T) => ({ T, dim }))))(
    'equals the reference, and padding stays zero: T=$T modelDim=$dim',
    async ({ T, dim }) => {
      const [x, weight] = [random.normals(T * dim, 3), random.normals(dim)];
      const expected = rmsNormReference(x, weight, T, dim, EPS);
      for (const run of await norm(options, x, weight, T, dim)) {
        expect(nmse(unpadded(run, dim), expected)).toBeLessThan(NMSE);
        expect(run).toEqual(paddedRows(unpadded(run, dim), dim));
      }
    },
  );

  it.each([1e-4, 1e4])('eps counts among small values and not among large ones: deviation %f', async (deviation) => {
    const [T, dim] = [2, 257];
    const [x, weight] = [random.normals(T * dim, deviation), random.normals(dim)];
    const expected = rmsNormReference(x, weight, T, dim, EPS);
    for (const run of await norm(options, x, weight, T, dim)) {
      expect(nmse(unpadded(run, dim), expected)).toBeLessThan(NMSE);
    }
  });

  it('a row of zeros becomes zeros, and not NaN', async () => {
    const [T, dim] = [3, 257];
    const [x, weight] = [random.normals(T * dim), random.normals(dim)];
    x.fill(0, dim, 2 * dim);
    for (const run of await norm(options, x, weight, T, dim)) {
      expect(
        unpadded(run, dim)
          .subarray(dim, 2 * dim)
          .every((value) => value === 0),
      ).toBe(true);
      expect(nmse(unpadded(run, dim), rmsNormReference(x, weight, T, dim, EPS))).toBeLessThan(NMSE);
    }
  });

  it('a row does not depend, bit for bit, on the other rows of the step', async () => {
    const [T, dim] = [6, 257];
    const [x, weight] = [random.normals(T * dim), random.normals(dim)];
    const [all] = await norm(options, x, weight, T, dim);
    const [first] = await norm(options, x.subarray(0, dim), weight, 1, dim);
    expect(all!.subarray(0, rowStride(dim))).toEqual(first);
  });

  it('control: the mean over the padded row is out of bounds', async () => {
    const [T, dim] = [1, 255];
    const [x, weight] = [random.normals(T * dim), random.normals(dim)];
    const wrong = rmsNormReference(x, weight, T, dim, EPS).map((value) => value * Math.sqrt(256 / 255));
    const [run] = await norm(options, x, weight, T, dim);
    expect(nmse(unpadded(run!, dim), wrong)).toBeGreaterThan(NMSE);
  });
});

async function norm(options: DeviceOptions, x: Float32Array, weight: Float32Array, nTokens: number, modelDim: number) {
  const device = await testDevice(options);
  const nValues = nTokens * rowStride(modelDim);
  const y = whole(device.buffers.storage('other', 'y', nValues * 4));
  const views = { x: upload(device, paddedRows(x, modelDim)), weight: upload(device, paddedRows(weight, modelDim)), y };
  return runThrice(device, (rec) => rmsNorm(rec, { ...views, nTokens, modelDim, eps: EPS, stage: 0 }), y, nValues);
}
