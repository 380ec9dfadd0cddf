import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { type DeviceOptions, whole } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { combineReference } from './combine.reference.ts';
import { combine } from './combine.ts';
import { paddedRows, runThrice, testDevice, unpadded, upload } from './testGraph.ts';

/** A few products and a quotient in f32: 1e-6 at the worst, 1e-12 squared; 1e-6 is the house's bound. */
const NMSE = 1e-6;
const random = seeded('combine');

interface Case {
  readonly y: Float32Array;
  readonly outputs: Float32Array;
  readonly weights: Float32Array;
  readonly T: number;
  readonly k: number;
  readonly dim: number;
}

describe.each<DeviceOptions>([{}, { limits: 'default' }])('combine, %o', (options) => {
  // 1, 45: rows with padding. 544: 136 vectors, no multiple of a workgroup's 16. 7168: arctic. k 1: the weight cancels.
  it.each([
    { T: 1, k: 1, dim: 1 },
    { T: 5, k: 2, dim: 45 },
    { T: 3, k: 3, dim: 544 },
    { T: 1, k: 2, dim: 7168 },
    { T: 33, k: 2, dim: 64 },
  ])('adds the reference to y: T=$T k=$k modelDim=$dim', async ({ T, k, dim }) => {
    const made = draw(T, k, dim);
    const expected = reference(made);
    for (const run of await mix(options, made)) expect(nmse(run, expected)).toBeLessThan(NMSE);
  });

  it.each([1e-30, 1e30])('renormalises: weights times %f mean the same', async (factor) => {
    const made = draw(3, 2, 64);
    const expected = reference(made);
    const scaled = { ...made, weights: made.weights.map((weight) => weight * factor) };
    for (const run of await mix(options, scaled)) expect(nmse(run, expected)).toBeLessThan(NMSE);
  });

  // In f32 1e8 + 1 is 1e8: any other order gets one of the two wrong.
  it.each([
    { values: [1e8, 1, -1e8], sum: 0 },
    { values: [1e8, -1e8, 1], sum: 1 },
  ])('sums in rank order: $values make $sum', async ({ values, sum }) => {
    const made = {
      y: new Float32Array(1),
      outputs: Float32Array.from(values),
      weights: new Float32Array(3).fill(1),
      T: 1,
      k: 3,
      dim: 1,
    };
    for (const run of await mix(options, made)) expect(run[0]).toBeCloseTo(sum / 3, 6);
  });
});

it('control: without the quotient it is out of bounds', async () => {
  const made = draw(3, 2, 64);
  const wrong = reference(made).map((value, i) => {
    const [t, before] = [Math.floor(i / 64), made.y[i]!];
    return before + (value - before) * (made.weights[2 * t]! + made.weights[2 * t + 1]!);
  });
  for (const run of await mix({}, made)) expect(nmse(run, wrong)).toBeGreaterThan(NMSE);
});

function draw(T: number, k: number, dim: number): Case {
  const weights = random.uniforms(T * k, 0.01, 0.8);
  return { y: random.normals(T * dim), outputs: random.normals(T * k * dim), weights, T, k, dim };
}

function reference({ y, outputs, weights, T, k, dim }: Case): Float64Array {
  return combineReference(y, outputs, weights, T, k, dim);
}

async function mix(options: DeviceOptions, { y, outputs, weights, T, k, dim }: Case): Promise<Float32Array[]> {
  const device = await testDevice(options);
  const nValues = T * rowStride(dim);
  const to = whole(device.buffers.storage('other', 'y', nValues * 4));
  const unused = upload(device, new Uint32Array(T * k));
  const route = {
    ids: unused,
    weights: upload(device, weights),
    slots: unused,
    starts: unused,
    sorted: unused,
    nExperts: k,
    nExpertsUsed: k,
  };
  const from = upload(device, paddedRows(outputs, dim));
  const runs = await runThrice(
    device,
    (rec) => combine(rec, { outputs: from, route, y: to, nTokens: T, modelDim: dim, stage: 0 }),
    to,
    nValues,
    () => device.write(to.buffer, 0, new Uint8Array(paddedRows(y, dim).buffer)),
  );
  return runs.map((run) => unpadded(run, dim));
}
