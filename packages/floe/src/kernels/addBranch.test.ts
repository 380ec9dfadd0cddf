import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { expect, it } from 'vitest';
import { rowStride } from '../quant/index.ts';
import { addBranch } from './addBranch.ts';
import { paddedRows, runThrice, testDevice, unpadded, upload } from './testGraph.ts';

/** An exponential and three products in f32: 1e-6 at the worst, 1e-12 squared. */
const NMSE = 1e-10;
const random = seeded('addBranch');

// 45: padding. 160: 40 vectors, no multiple of a workgroup's 32.
it.each([45, 160].flatMap((dim) => [null, [0.5, -2, 300]].map((gate) => ({ dim, gate }))))(
  'adds scale · sigmoid(gate) · branch: modelDim=$dim gate $gate',
  async ({ dim, gate }) => {
    const [T, scale] = [3, 0.22];
    const device = await testDevice();
    const [x, branch] = [random.normals(T * dim), random.normals(T * dim)];
    const y = upload(device, paddedRows(x, dim));
    const gates = gate && upload(device, paddedRows(Float32Array.from(gate), 1));
    const args = {
      branch: upload(device, paddedRows(branch, dim)),
      x: y,
      nTokens: T,
      modelDim: dim,
      scale,
      gate: gates,
    };
    const runs = await runThrice(
      device,
      (rec) => addBranch(rec, { ...args, stage: 0 }),
      y,
      T * rowStride(dim),
      () => device.write(y.buffer, 0, new Uint8Array(paddedRows(x, dim).buffer)),
    );
    const gain = (t: number) => scale * (gate ? 1 / (1 + Math.exp(-gate[t]!)) : 1);
    const expected = Float64Array.from(x, (value, i) => value + gain(Math.floor(i / dim)) * branch[i]!);
    for (const run of runs) expect(nmse(unpadded(run, dim), expected)).toBeLessThan(NMSE);
  },
);
