/** route and combine where experts are not those of the greatest logits, weighted by a softmax of the chosen. */
import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { readBuffer, whole } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { combine } from './combine.ts';
import { type ReferenceGating, routeReference } from './route.reference.ts';
import { route } from './route.ts';
import { paddedRows, runThrice, testDevice, upload } from './testGraph.ts';

/** An exponential and a quotient in f32: 1e-6 at the worst, 1e-12 squared. */
const NMSE = 1e-10;
const random = seeded('gating');
const [T, N_EXPERTS, K] = [6, 24, 3];
// As large as probabilities differ, so that it decides.
const bias = random.normals(N_EXPERTS, 0.3);

const gatings: { name: string; gating: ReferenceGating }[] = [
  { name: 'softmax of all', gating: { kind: 'softmax', renormalise: false, groups: null, bias: null } },
  { name: 'softmax, biased', gating: { kind: 'softmax', renormalise: true, groups: null, bias } },
  { name: 'sigmoid', gating: { kind: 'sigmoid', renormalise: true, groups: null, bias: null } },
  { name: 'sigmoid, biased', gating: { kind: 'sigmoid', renormalise: true, groups: null, bias } },
  {
    name: 'softmax in groups',
    gating: { kind: 'softmax', renormalise: false, groups: { nGroups: 6, nGroupsUsed: 2 }, bias: null },
  },
  {
    name: 'sigmoid in groups, biased',
    gating: { kind: 'sigmoid', renormalise: true, groups: { nGroups: 4, nGroupsUsed: 2 }, bias },
  },
  {
    name: 'one group of one expert each',
    gating: { kind: 'sigmoid', renormalise: true, groups: { nGroups: 24, nGroupsUsed: 4 }, bias },
  },
];

describe.each(gatings)('route, $name', ({ gating }) => {
  it('chooses and weighs as the reference', async () => {
    const device = await testDevice();
    const logits = random.normals(T * N_EXPERTS, 2);
    const unused = upload(device, new Uint32Array(64));
    const [ids, weights] = [unused, unused].map(() => whole(device.buffers.storage('other', 'out', 256)));
    const to = { ids: ids!, weights: weights!, slots: unused, starts: unused, sorted: unused };
    const args = {
      logits: upload(device, paddedRows(logits, N_EXPERTS)),
      logitStride: rowStride(N_EXPERTS),
      route: { ...to, nExperts: N_EXPERTS, nExpertsUsed: K },
      slots: 'later',
      ...{ layer: 0, nTokens: T },
      gating: { ...gating, bias: gating.bias && upload(device, bias) },
    } as const;
    const rows = Array.from({ length: T }, (_, t) =>
      routeReference(logits.subarray(t * N_EXPERTS, (t + 1) * N_EXPERTS), K, gating),
    );
    for (const run of await runThrice(device, (rec) => route(rec, args), weights!, T * K)) {
      expect([...new Uint32Array(await readBuffer(device, ids!.buffer, 0, T * K * 4))]).toEqual(
        rows.flatMap((row) => row.ids),
      );
      expect(
        nmse(
          run,
          rows.flatMap((row) => row.weights),
        ),
      ).toBeLessThan(NMSE);
    }
  });

  it('control: by logits alone others would be chosen, or weighed', () => {
    const logits = random.normals(64 * N_EXPERTS, 2);
    const differs = Array.from({ length: 64 }, (_, t) => logits.subarray(t * N_EXPERTS, (t + 1) * N_EXPERTS)).some(
      (row) => {
        const [plain, own] = [routeReference(row, K), routeReference(row, K, gating)];
        return plain.ids.join() !== own.ids.join() || nmse(plain.weights, own.weights) > 1e-3;
      },
    );
    expect(differs).toBe(true);
  });
});

it.each([true, false])('combine adds biases, and scales: renormalised %s', async (renormalise) => {
  const [dim, scale] = [45, 0.7];
  const device = await testDevice();
  const [y, outputs, biases] = [random.normals(T * dim), random.normals(T * K * dim), random.normals(N_EXPERTS * dim)];
  const weights = random.uniforms(T * K, 0.1, 1);
  const ids = Uint32Array.from(random.ints(T * K, 0, N_EXPERTS - 1));
  const unused = upload(device, new Uint32Array(64));
  const to = {
    ids: upload(device, ids),
    weights: upload(device, weights),
    slots: unused,
    starts: unused,
    sorted: unused,
  };
  const x = upload(device, paddedRows(y, dim));
  const args = {
    outputs: upload(device, paddedRows(outputs, dim)),
    bias: upload(device, paddedRows(biases, dim)),
    route: { ...to, nExperts: N_EXPERTS, nExpertsUsed: K },
    ...{ y: x, nTokens: T, modelDim: dim, renormalise, scale, stage: 0 },
  };
  const expected = Float64Array.from(y, (value, at) => {
    const [t, i] = [Math.floor(at / dim), at % dim];
    const pairs = [0, 1, 2].map((rank) => t * K + rank);
    const sum = renormalise ? pairs.reduce((total, pair) => total + weights[pair]!, 0) : 1;
    const said = (pair: number) => outputs[pair * dim + i]! + biases[ids[pair]! * dim + i]!;
    return value + (scale * pairs.reduce((total, pair) => total + weights[pair]! * said(pair), 0)) / sum;
  });
  const restore = () => device.write(x.buffer, 0, new Uint8Array(paddedRows(y, dim).buffer));
  for (const run of await runThrice(device, (rec) => combine(rec, args), x, T * rowStride(dim), restore)) {
    expect(nmse(run, paddedRows(expected, dim))).toBeLessThan(NMSE);
  }
});
