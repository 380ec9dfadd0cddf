import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { BINDING_ALIGNMENT, type DeviceOptions, roundUp, whole } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { anglesReference, ropeAppendReference } from './ropeAppend.reference.ts';
import { type AttentionShape, ropeAppend } from './ropeAppend.ts';
import { paddedRows, runThrice, testDevice, unpadded, upload } from './testGraph.ts';

/** Two products of f32: 1e-7 at the worst, 1e-14 squared; 1e-6 is the house's bound. */
const NMSE = 1e-6;
/** What the caches hold where no token was put. */
const FILL = 7;
const SLOTS = 9;
const random = seeded('ropeAppend');

interface Case {
  readonly shape: AttentionShape;
  readonly ropeDim: number;
  readonly qkv: Float32Array;
  readonly angles: Float64Array;
  readonly cacheSlots: readonly number[];
}

describe.each<DeviceOptions>([{}, { limits: 'default' }])('ropeAppend, %o', (options) => {
  // headDim 4: the least. 36: 18 pairs, no multiple of a workgroup's 16. 128: arctic. 256: the most. ropeDim 2: one pair.
  // Slots out of order, at both ends, with gaps; positions far beyond what WGSL's own sin is good for.
  it.each([
    { nHeads: 1, nKvHeads: 1, headDim: 4, ropeDim: 4, cacheSlots: [0], positions: [0] },
    { nHeads: 3, nKvHeads: 1, headDim: 4, ropeDim: 2, cacheSlots: [8, 0, 3], positions: [5, 6, 7] },
    { nHeads: 4, nKvHeads: 2, headDim: 36, ropeDim: 36, cacheSlots: [4, 5], positions: [1000, 1001] },
    { nHeads: 7, nKvHeads: 1, headDim: 128, ropeDim: 128, cacheSlots: [8], positions: [131_071] },
    { nHeads: 6, nKvHeads: 3, headDim: 128, ropeDim: 64, cacheSlots: [7, 1, 2, 0, 8], positions: [9, 10, 11, 12, 13] },
    { nHeads: 2, nKvHeads: 2, headDim: 256, ropeDim: 96, cacheSlots: [6, 2], positions: [3, 4095] },
  ])(
    'equals the reference: $nHeads heads, $nKvHeads of keys, headDim=$headDim ropeDim=$ropeDim slots $cacheSlots',
    async ({ ropeDim, cacheSlots, positions, ...shape }) => {
      const made = draw(shape, ropeDim, cacheSlots, positions);
      const expected = reference(made);
      for (const run of await append(options, made)) {
        expect(nmse(run.q, expected.q)).toBeLessThan(NMSE);
        expect(nmse(run.k, expected.k)).toBeLessThan(NMSE);
        // Not a bit of a value changes, nor of a slot that no token has.
        expect(run.v).toEqual(Float32Array.from(expected.v));
        const kept = expected.k.map((value, i) => (value === FILL ? value : run.k[i]!));
        expect(run.k).toEqual(Float32Array.from(kept));
      }
    },
  );

  it('dimensions from ropeDim on pass through, bit for bit, and those before turn', async () => {
    const made = draw({ nHeads: 2, nKvHeads: 1, headDim: 8 }, 4, [3], [11]);
    const [run] = await append(options, made);
    const isPassed = (_: number, i: number) => i % 8 >= 4;
    const isTurned = (_: number, i: number) => i % 8 < 4;
    const [q, k] = [made.qkv.subarray(0, 16), made.qkv.subarray(16, 24)];
    expect(run!.q.filter(isPassed)).toEqual(q.filter(isPassed));
    expect(run!.k.subarray(24, 32).filter(isPassed)).toEqual(k.filter(isPassed));
    for (const [i, value] of q.filter(isTurned).entries()) expect(run!.q.filter(isTurned)[i]).not.toBe(value);
  });

  it('a score depends on the distance of positions alone', async () => {
    const shape = { nHeads: 1, nKvHeads: 1, headDim: 32 };
    const near = draw(shape, 32, [0, 1], [0, 5]);
    const far = { ...near, angles: anglesReference([1000, 1005], 32, 10_000) };
    const scores = [];
    for (const made of [near, far]) {
      const [run] = await append(options, made);
      scores.push(run!.q.subarray(32, 64).reduce((sum, value, i) => sum + value * run!.k[i]!, 0));
    }
    expect(Math.abs(scores[0]! - scores[1]!)).toBeLessThan(1e-4);
  });
});

it('control: the next position is out of bounds, and so is the next slot', async () => {
  const made = draw({ nHeads: 2, nKvHeads: 1, headDim: 32 }, 32, [3], [11]);
  const [run] = await append({}, made);
  const turned = reference({ ...made, angles: anglesReference([12], 32, 10_000) });
  expect(nmse(run!.q, turned.q)).toBeGreaterThan(NMSE);
  expect(nmse(run!.k, turned.k)).toBeGreaterThan(NMSE);
  expect(nmse(run!.v, reference({ ...made, cacheSlots: [4] }).v)).toBeGreaterThan(NMSE);
});

function draw(
  shape: AttentionShape,
  ropeDim: number,
  cacheSlots: readonly number[],
  positions: readonly number[],
): Case {
  const qkv = random.normals(cacheSlots.length * (shape.nHeads + 2 * shape.nKvHeads) * shape.headDim);
  return { shape, ropeDim, qkv, angles: anglesReference(positions, ropeDim, 10_000), cacheSlots };
}

function reference({ qkv, angles, cacheSlots, shape, ropeDim }: Case) {
  return ropeAppendReference(qkv, angles, cacheSlots, { shape, ropeDim, nCacheSlots: SLOTS }, FILL);
}

async function append(options: DeviceOptions, { shape, ropeDim, qkv, angles, cacheSlots }: Case) {
  const device = await testDevice(options);
  const nTokens = cacheSlots.length;
  const [qRow, qkvRow] = [shape.nHeads * shape.headDim, (shape.nHeads + 2 * shape.nKvHeads) * shape.headDim];
  const nCache = shape.nKvHeads * SLOTS * shape.headDim;
  // The three outputs lie in one buffer.
  const qBytes = roundUp(nTokens * rowStride(qRow) * 4, BINDING_ALIGNMENT);
  const cacheBytes = roundUp(nCache * 4, BINDING_ALIGNMENT);
  const { buffer } = whole(device.buffers.storage('other', 'q, k, v', qBytes + 2 * cacheBytes));
  const nValues = (qBytes + 2 * cacheBytes) / 4;
  const args = {
    qkv: upload(device, paddedRows(qkv, qkvRow)),
    angles: upload(device, Float32Array.from(angles)),
    cacheSlots: upload(device, Uint32Array.from(cacheSlots)),
    q: { buffer, offset: 0, sizeBytes: qBytes },
    kCache: { buffer, offset: qBytes, sizeBytes: cacheBytes },
    vCache: { buffer, offset: qBytes + cacheBytes, sizeBytes: cacheBytes },
    shape,
    pairs: 'interleaved' as const,
    ropeDim,
    qkvStride: rowStride(qkvRow),
    qStride: rowStride(qRow),
    nCacheSlots: SLOTS,
    nTokens,
    stage: 0,
  };
  const runs = await runThrice(
    device,
    (rec) => ropeAppend(rec, args),
    whole(buffer),
    nValues,
    () => device.write(buffer, 0, new Uint8Array(new Float32Array(nValues).fill(FILL).buffer)),
  );
  return runs.map((run) => ({
    q: unpadded(run.slice(0, nTokens * rowStride(qRow)), qRow),
    k: run.slice(qBytes / 4, qBytes / 4 + nCache),
    v: run.slice((qBytes + cacheBytes) / 4, (qBytes + cacheBytes) / 4 + nCache),
  }));
}
