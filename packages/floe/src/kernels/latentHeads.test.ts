import { seeded } from '@floe/testkit/seeded';
import { expect, it } from 'vitest';
import { whole } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { latentHeads } from './latentHeads.ts';
import { paddedRows, runThrice, testDevice, unpadded, upload } from './testGraph.ts';

const random = seeded('latentHeads');

it.each([
  { what: 'apart', isJoined: false },
  { what: 'joined, each head’s value behind its key', isJoined: true },
])(
  'puts q, k and v side by side, rotated dimensions first, bit for bit: keys and values $what',
  async ({ isJoined }) => {
    const [T, nHeads, plainDim, ropeDim, valueDim] = [3, 3, 12, 4, 20];
    const headDim = plainDim + ropeDim;
    const device = await testDevice();
    const q = random.normals(T * nHeads * headDim);
    const rope = random.normals(T * ropeDim);
    const keyDim = isJoined ? plainDim + valueDim : plainDim;
    const keys = random.normals(T * nHeads * keyDim);
    const values = isJoined ? keys : random.normals(T * nHeads * valueDim);
    const valueStep = isJoined ? keyDim : valueDim;
    const qkvDim = nHeads * (2 * headDim + valueDim);
    const rows = (data: Float32Array, dim: number) => upload(device, paddedRows(data, dim));
    const keyView = rows(keys, nHeads * keyDim);
    const qkv = whole(device.buffers.storage('other', 'qkv', T * rowStride(qkvDim) * 4));
    const args = {
      q: rows(q, nHeads * headDim),
      keys: { view: keyView, stride: rowStride(nHeads * keyDim), headStride: keyDim },
      keyRope: rows(rope, ropeDim),
      values: {
        view: isJoined ? keyView : rows(values, nHeads * valueDim),
        stride: rowStride(nHeads * valueStep),
        headStride: valueStep,
        offset: isJoined ? plainDim : 0,
      },
      ...{ qkv, qkvStride: rowStride(qkvDim), nTokens: T, nHeads, plainDim, ropeDim, valueDim, stage: 0 },
    };
    const expected = Array.from({ length: T }, (_, t) => {
      const heads = Array.from({ length: nHeads }, (_, head) => t * nHeads + head);
      const part = (from: Float32Array, at: number, n: number) => [...from.subarray(at, at + n)];
      return [
        heads.flatMap((i) => [...part(q, i * headDim + plainDim, ropeDim), ...part(q, i * headDim, plainDim)]),
        heads.flatMap((i) => [...part(rope, t * ropeDim, ropeDim), ...part(keys, i * keyDim, plainDim)]),
        heads.flatMap((i) => part(values, i * valueStep + (isJoined ? plainDim : 0), valueDim)),
      ].flat();
    });
    const runs = await runThrice(device, (rec) => latentHeads(rec, args), qkv, T * rowStride(qkvDim));
    for (const run of runs) expect([...unpadded(run, qkvDim)]).toEqual(expected.flat());
  },
);
