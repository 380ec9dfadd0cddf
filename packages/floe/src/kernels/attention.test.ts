import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { type DeviceOptions, whole } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { attentionReference } from './attention.reference.ts';
import { attention } from './attention.ts';
import type { AttentionShape } from './ropeAppend.ts';
import { families, paddedRows, runThrice, testDevice, unpadded, upload } from './testGraph.ts';

/** Scores of order 10 round to 1e-6 in f32, and so do their exponentials: 1e-12 squared; 1e-6 is the house's bound. */
const NMSE = 1e-6;
/** More than any token sees; what lies behind the last key is NaN, so that reading it shows. */
const SLOTS = 211;
/** A software adapter takes half a minute to compile the thread kernel for headDim 256, and longer beside other tests. */
const COMPILE_MS = 180_000;
const random = seeded('attention');
const devices: DeviceOptions[] = [
  ...families.map((family) => ({ family })),
  { family: 'cooperative', limits: 'default' },
];

interface Case {
  readonly shape: AttentionShape;
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly nKeys: readonly number[];
}

describe.each(devices)('attention, %o', (options) => {
  // headDim 4, 256: the least and the most. Heads 1, 5: no multiple of those a workgroup takes. 6 / 2 and 5 / 1: groups.
  // Keys 1: the weight is 1. 63, 64, 65: around a tile. 200: several tiles and a part of one.
  const groups = [
    { nHeads: 1, nKvHeads: 1 },
    { nHeads: 3, nKvHeads: 3 },
    { nHeads: 6, nKvHeads: 2 },
    { nHeads: 5, nKvHeads: 1 },
  ];
  it.each([4, 32, 128, 256].flatMap((headDim) => groups.map((group) => ({ ...group, headDim }))))(
    'equals the reference: $nHeads heads, $nKvHeads of keys, headDim=$headDim',
    async (shape) => {
      await expectReference(options, draw(shape, [1, 63, 64, 65, 200]));
    },
    COMPILE_MS,
  );

  it.each([1, 63, 64, 65, 200])('equals the reference for one token that sees %i keys', async (n) => {
    await expectReference(options, draw({ nHeads: 4, nKvHeads: 2, headDim: 32 }, [n]));
  });

  it.each(['rise', 'fall'])('holds where scores %s by hundreds from key to key', async (way) => {
    const headDim = 4;
    const made = draw({ nHeads: 1, nKvHeads: 1, headDim }, [2, 64, 130]);
    made.q.fill(1);
    for (let i = 0; i < 130 * headDim; i++) {
      made.k[i] = (way === 'rise' ? 1 : -1) * 100 * Math.floor(i / headDim);
    }
    await expectReference(options, made);
  });

  it('a token that sees no key gets zeros', async () => {
    const made = draw({ nHeads: 4, nKvHeads: 2, headDim: 32 }, [0, 3]);
    await expectReference(options, made);
    const [run] = await attend(options, made);
    expect(run!.subarray(0, 128)).toEqual(new Float32Array(128));
  });

  it('a row does not depend, bit for bit, on the other rows of the step', async () => {
    const made = draw({ nHeads: 6, nKvHeads: 2, headDim: 32 }, [65, 200, 1]);
    const row = 6 * 32;
    const other = made.q.map((value, i) => (i < row ? value : random.normal()));
    const [one] = await attend(options, made);
    const [two] = await attend(options, { ...made, q: other, nKeys: [65, 199, 64] });
    const [alone] = await attend(options, { ...made, q: made.q.subarray(0, row), nKeys: [65] });
    expect(two!.subarray(0, row)).toEqual(one!.subarray(0, row));
    expect(alone).toEqual(one!.subarray(0, row));
    expect(two!.subarray(row, 2 * row)).not.toEqual(one!.subarray(row, 2 * row));
  });

  it('control: one key of 65 less is out of bounds', async () => {
    const made = draw({ nHeads: 4, nKvHeads: 2, headDim: 32 }, [65]);
    const [run] = await attend(options, { ...made, nKeys: [64] });
    expect(nmse(run!, reference(made))).toBeGreaterThan(NMSE);
  });
});

function draw(shape: AttentionShape, nKeys: readonly number[]): Case {
  const { nHeads, nKvHeads, headDim } = shape;
  const seen = Math.max(...nKeys) * headDim;
  const cache = () =>
    random.normals(nKvHeads * SLOTS * headDim).map((value, i) => (i % (SLOTS * headDim) < seen ? value : Number.NaN));
  return { shape, q: random.normals(nKeys.length * nHeads * headDim, 2), k: cache(), v: cache(), nKeys };
}

function reference({ shape, q, k, v, nKeys }: Case): Float64Array {
  return attentionReference(q, k, v, nKeys, shape, SLOTS);
}

async function expectReference(options: DeviceOptions, made: Case): Promise<void> {
  const expected = reference(made);
  for (const run of await attend(options, made)) expect(nmse(run, expected)).toBeLessThan(NMSE);
}

async function attend(options: DeviceOptions, { shape, q, k, v, nKeys }: Case): Promise<Float32Array[]> {
  const device = await testDevice(options);
  const row = shape.nHeads * shape.headDim;
  const qStride = rowStride(row);
  const y = whole(device.buffers.storage('other', 'y', nKeys.length * qStride * 4));
  const args = {
    q: upload(device, paddedRows(q, row)),
    kCache: upload(device, k),
    vCache: upload(device, v),
    nKeys: upload(device, Uint32Array.from(nKeys)),
    y,
    shape,
    qStride,
    nCacheSlots: SLOTS,
    nTokens: nKeys.length,
    stage: 0,
  };
  const runs = await runThrice(device, (rec) => attention(rec, args), y, nKeys.length * qStride);
  return runs.map((run) => unpadded(run, row));
}
