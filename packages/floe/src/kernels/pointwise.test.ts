import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { expect, it } from 'vitest';
import type { Recorder } from '../gpu/index.ts';
import { geluReference } from './matmul.reference.ts';
import { addBias, clampTo, gelu, type PointwiseArgs, scaleBy, softCap } from './pointwise.ts';
import { paddedRows, runThrice, testDevice, upload } from './testGraph.ts';

/** An exponential and a quotient in f32: 1e-6 at the worst, 1e-12 squared. */
const NMSE = 1e-10;
const random = seeded('pointwise');
const [T, DIM, STRIDE, OFFSET] = [3, 132, 192, 32];
const x = random.normals(T * STRIDE, 3);
const bias = random.normals(DIM);

/** Runs `record` on rows of x, of which DIM values from OFFSET on may change. */
async function changed(record: (rec: Recorder, args: PointwiseArgs) => void): Promise<Float32Array> {
  const device = await testDevice();
  const y = upload(device, x);
  const args = { y, nTokens: T, dim: DIM, stride: STRIDE, offset: OFFSET, stage: 0 };
  const [run] = await runThrice(
    device,
    (rec) => record(rec, args),
    y,
    x.length,
    () => device.write(y.buffer, 0, new Uint8Array(x.slice().buffer)),
  );
  return run!;
}

function reference(change: (value: number, i: number) => number): Float64Array {
  return Float64Array.from(x, (value, at) => {
    const i = (at % STRIDE) - OFFSET;
    return i >= 0 && i < DIM ? change(value, i) : value;
  });
}

it.each([
  { what: 'one row', rowDim: DIM },
  // Three of 44, each padded to 64: a head's width need not be whole groups.
  { what: 'rows with padding', rowDim: 44 },
])('addBias adds it to each row, and to nothing beside: $what', async ({ rowDim }) => {
  const device = await testDevice();
  const values = upload(device, paddedRows(bias, rowDim));
  const run = await changed((rec, args) => addBias(rec, { values, rowDim }, args));
  expect(
    nmse(
      run,
      reference((value, i) => value + bias[i]!),
    ),
  ).toBeLessThan(NMSE);
});

it('clampTo cuts at both ends', async () => {
  const run = await changed((rec, args) => clampTo(rec, 1.5, args));
  expect(run).toEqual(Float32Array.from(reference((value) => Math.min(1.5, Math.max(-1.5, value)))));
});

it('scaleBy multiplies', async () => {
  const run = await changed((rec, args) => scaleBy(rec, 0.3, args));
  expect(
    nmse(
      run,
      reference((value) => value * 0.3),
    ),
  ).toBeLessThan(NMSE);
});

// 1: the middle, where it bends. 40: a float's exponential of it is no number.
it.each([1, 40])('gelu is its tanh form: values times %f', async (factor) => {
  const run = await changed((rec, args) => {
    scaleBy(rec, factor, args);
    gelu(rec, args);
  });
  expect(
    nmse(
      run,
      reference((value) => geluReference(Math.fround(value * factor))),
    ),
  ).toBeLessThan(NMSE);
});

// 1e-6: all are at the cap. 1e3: none is near it, and tanh must not lose their digits.
it.each([1e-6, 2, 1e3])('softCap is cap · tanh(y / cap): cap %f', async (cap) => {
  const run = await changed((rec, args) => softCap(rec, cap, args));
  expect(
    nmse(
      run,
      reference((value) => cap * Math.tanh(value / cap)),
    ),
  ).toBeLessThan(NMSE);
});
