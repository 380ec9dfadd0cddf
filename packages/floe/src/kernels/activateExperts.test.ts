import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { expect, it } from 'vitest';
import { rowStride } from '../quant/index.ts';
import { activateExperts } from './activateExperts.ts';
import { ABSENT } from './route.ts';
import { paddedRows, runThrice, testDevice, unpadded, upload } from './testGraph.ts';

/** An exponential, a quotient and four products in f32: 1e-6 at the worst, 1e-12 squared. */
const NMSE = 1e-10;
const FILL = 7;
const random = seeded('activateExperts');

// 36: padding in a row and in gate | up. 160: more than a workgroup. Deviation 6: both clamps are met.
it.each([36, 160])(
  'is gpt-oss’s clamped SwiGLU of biased gate and up, where the expert has a slot: expertDim=%i',
  async (dim) => {
    const [T, k, nExperts] = [2, 2, 3];
    const nPairs = T * k;
    const [ids, slots] = [[2, 0, 1, 2], Uint32Array.of(5, ABSENT, 0, 5)];
    const device = await testDevice();
    const gateUp = random.normals(nPairs * 2 * dim, 6);
    const [gateBias, upBias] = [random.normals(nExperts * dim), random.normals(nExperts * dim)];
    const y = upload(device, new Float32Array(nPairs * rowStride(dim)).fill(FILL));
    const unused = upload(device, new Uint32Array(64));
    const route = {
      ids: upload(device, Uint32Array.from(ids)),
      slots: upload(device, slots),
      nExperts,
      nExpertsUsed: k,
    };
    const args = {
      gateUp: upload(device, paddedRows(gateUp, 2 * dim)),
      gateBias: upload(device, paddedRows(gateBias, dim)),
      upBias: upload(device, paddedRows(upBias, dim)),
      route: { ...route, weights: unused, starts: unused, sorted: unused },
      ...{ y, nTokens: T, expertDim: dim, stage: 0 },
    };
    const expected = Float64Array.from({ length: nPairs * dim }, (_, at) => {
      const [pair, i] = [Math.floor(at / dim), at % dim];
      if (slots[pair] === ABSENT) return FILL;
      const gate = Math.min(7, gateUp[pair * 2 * dim + i]! + gateBias[ids[pair]! * dim + i]!);
      const up = Math.max(-7, Math.min(7, gateUp[pair * 2 * dim + dim + i]! + upBias[ids[pair]! * dim + i]!));
      return ((up + 1) * gate) / (1 + Math.exp(-1.702 * gate));
    });
    const runs = await runThrice(device, (rec) => activateExperts(rec, args), y, nPairs * rowStride(dim));
    for (const run of runs) expect(nmse(unpadded(run, dim), expected)).toBeLessThan(NMSE);
  },
);
