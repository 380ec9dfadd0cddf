import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { BINDING_ALIGNMENT, type DeviceOptions, roundUp, whole } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { blockOf, KvImage } from './kvFormats.reference.ts';
import { type AttentionShape, KV_BLOCK, type KvFormatName, kvBlockBytes } from './kvFormats.ts';
import { anglesReference, headsOf, turnReference } from './ropeAppend.reference.ts';
import { type RopePairs, ropeAppend } from './ropeAppend.ts';
import { paddedRows, runThrice, testDevice, unpadded, upload } from './testGraph.ts';

/** Two products of f32: 1e-7 at the worst, 1e-14 squared; 1e-6 is the house's bound. */
const NMSE = 1e-6;
/** Half a step of a format: 2⁻¹² of a half, 1/254 of the greatest of 32; squared, and a byte that rounding carries over. */
const ROUNDED: Record<KvFormatName, number> = { F32: NMSE, F16: NMSE, Q8_0: 1e-4 };
const BLOCKS = 4;
const random = seeded('ropeAppend');
const table = Uint32Array.of(2, 0, 3);
const ring = { fixedBlocks: 1, tableBlocks: 3 };

interface Case {
  readonly shape: AttentionShape;
  readonly pairs: RopePairs;
  readonly ropeFirst: number;
  readonly ropeDim: number;
  readonly format: KvFormatName;
  readonly positions: readonly number[];
  readonly window: number;
  readonly qkv: Float32Array;
}

const interleaved = { pairs: 'interleaved', ropeFirst: 0 } as const;
const halves = { pairs: 'halves', ropeFirst: 0 } as const;
const shapeOf = (nHeads: number, nKvHeads: number, headDim: number, valueDim = headDim): AttentionShape => ({
  nHeads,
  nKvHeads,
  headDim,
  valueDim,
});

describe.each<DeviceOptions>([{}, { limits: 'default' }])('ropeAppend, %o', (options) => {
  // headDim 4: the least. 36: a group of 32 and a part of one. 128: arctic. 192 / 128: deepseek2, whose last 64 turn.
  // 256: the most. ropeDim 2: one pair. Positions at both ends of a block, behind the ring's end, beyond what f32 counts.
  it.each([
    { shape: shapeOf(1, 1, 4), ...interleaved, ropeDim: 4, positions: [0] },
    { shape: shapeOf(3, 1, 4), ...interleaved, ropeDim: 2, positions: [31, 32, 33] },
    { shape: shapeOf(4, 2, 36), ...interleaved, ropeDim: 36, positions: [95, 96] },
    { shape: shapeOf(7, 1, 128), ...interleaved, ropeDim: 128, positions: [131_071] },
    { shape: shapeOf(6, 3, 128), ...halves, ropeDim: 64, positions: [9, 10, 11, 12, 13] },
    { shape: shapeOf(2, 2, 192, 128), pairs: 'interleaved' as const, ropeFirst: 128, ropeDim: 64, positions: [70] },
    { shape: shapeOf(2, 2, 256), ...halves, ropeDim: 256, positions: [4095, 2 ** 22 + 1] },
  ])(
    'equals the reference: $shape.nHeads heads, $shape.nKvHeads of keys, headDim=$shape.headDim, $pairs',
    async (made) => {
      await expectReference(options, { ...draw(made.shape, made.positions), ...made });
    },
  );

  it.each(['F16', 'Q8_0'] as const)('rounds keys and values to %s', async (format) => {
    for (const shape of [shapeOf(2, 1, 64), shapeOf(2, 2, 36, 20)])
      await expectReference(options, { ...draw(shape, [30, 31, 32]), format });
  });

  it('keeps a group of zeros and one too small for a scale, and a half that would be too large', async () => {
    const made = { ...draw(shapeOf(1, 1, 32), [0]), format: 'Q8_0' as const };
    made.qkv.fill(0, 32, 64);
    made.qkv.fill(1e-9, 64);
    const [run] = await append(options, made);
    expect(run!.cache.key(table[0]!, 0, 0)).toEqual(new Float64Array(32));
    expect(run!.cache.value(table[0]!, 0, 0)).toEqual(new Float64Array(32));
    const [large] = await append(options, { ...made, format: 'F16', qkv: new Float32Array(96).fill(-1e6) });
    expect(large!.cache.value(table[0]!, 0, 0)).toEqual(new Float64Array(32).fill(-65504));
  });

  it('dimensions around those that turn pass through, bit for bit', async () => {
    const made = { ...draw(shapeOf(2, 1, 12), [11]), ropeFirst: 4, ropeDim: 4 };
    const [run] = await append(options, made);
    const isPassed = (_: number, i: number) => i % 12 < 4 || i % 12 >= 8;
    const given = made.qkv.subarray(0, 24);
    expect(run!.q.subarray(0, 24).filter(isPassed)).toEqual(given.filter(isPassed));
    for (const [i, value] of given.entries()) if (!isPassed(0, i)) expect(run!.q[i]).not.toBe(value);
  });

  it('until the window is full both rotations of a query are one, bit for bit', async () => {
    const [run] = await append(options, draw(shapeOf(2, 1, 32), [62, 63, 64]));
    for (const [t, same] of [true, true, false].entries()) {
      const [near, sinks] = [0, 1].map((i) => run!.q.subarray((2 * t + i) * 64, (2 * t + i + 1) * 64));
      if (same) expect(sinks).toEqual(near);
      else expect(sinks).not.toEqual(near);
    }
  });
});

it('control: the next position, the other pairs and the next place are out of bounds', async () => {
  const made = draw(shapeOf(2, 1, 32), [40]);
  const [run] = await append({}, made);
  for (const other of [{ positions: [41] }, { pairs: 'halves' as const }]) {
    expect(nmse(run!.q, queries({ ...made, ...other })), JSON.stringify(other)).toBeGreaterThan(NMSE);
    expect(nmse(run!.cache.key(table[1]!, 0, 8), keyOf({ ...made, ...other }, 0, 0))).toBeGreaterThan(NMSE);
  }
  expect(nmse(run!.cache.key(table[1]!, 0, 9), keyOf(made, 0, 0))).toBeGreaterThan(NMSE);
});

function draw(shape: AttentionShape, positions: readonly number[]): Case {
  const { nHeads, nKvHeads, headDim, valueDim } = shape;
  const qkv = random.normals(positions.length * ((nHeads + nKvHeads) * headDim + nKvHeads * valueDim));
  return { shape, ...interleaved, ropeDim: headDim, format: 'F32', positions, window: 64, qkv };
}

/** [T, 2]: where each token is, and where sinks see it. */
function placesOf({ positions, window }: Case): number[] {
  return positions.flatMap((position) => [position, Math.min(position, window - 1)]);
}

function anglesOf(made: Case): Float64Array {
  return anglesReference(placesOf(made), made.ropeDim, 10_000);
}

function queries(made: Case): Float64Array {
  const angles = anglesOf(made);
  const rows = placesOf(made).flatMap((_, row) =>
    Array.from({ length: made.shape.nHeads }, (_, head) => {
      const { q } = headsOf(made.qkv, Math.floor(row / 2), made.shape);
      return [...turnReference(q(head), angles.subarray(row * made.ropeDim, (row + 1) * made.ropeDim), made)];
    }),
  );
  return Float64Array.from(rows.flat());
}

function keyOf(made: Case, t: number, head: number): Float64Array {
  const angles = anglesOf(made).subarray(2 * t * made.ropeDim, (2 * t + 1) * made.ropeDim);
  return turnReference(headsOf(made.qkv, t, made.shape).k(head), angles, made);
}

async function expectReference(options: DeviceOptions, made: Case): Promise<void> {
  const { format, positions, shape } = made;
  for (const { q, cache } of await append(options, made)) {
    expect(nmse(q, queries(made))).toBeLessThan(NMSE);
    const untouched = new KvImage(format, shape, BLOCKS).poison();
    for (const [t, position] of positions.entries()) {
      const [block, place] = [blockOf(table, position, ring), position % KV_BLOCK];
      for (let head = 0; head < shape.nKvHeads; head++) {
        const [key, value] = [keyOf(made, t, head), headsOf(made.qkv, t, shape).v(head)];
        expect(nmse(cache.key(block, head, place), key)).toBeLessThan(ROUNDED[format]);
        expect(nmse(cache.value(block, head, place), value)).toBeLessThan(ROUNDED[format]);
        if (format === 'F32') expect(cache.value(block, head, place)).toEqual(Float64Array.from(value));
        // As it was, so that what is left over is what no token has.
        cache.poisonAt(block, head, place);
      }
    }
    // Compared as bytes: vitest takes seconds for half a million of them.
    expect(Buffer.compare(cache.bytes, untouched.bytes)).toBe(0);
  }
}

async function append(options: DeviceOptions, made: Case): Promise<{ q: Float32Array; cache: KvImage }[]> {
  const device = await testDevice(options);
  const { shape, positions, qkv, format, pairs, ropeFirst, ropeDim } = made;
  const nTokens = positions.length;
  const [qRow, qkvRow] = [shape.nHeads * shape.headDim, qkv.length / nTokens];
  const nCacheBytes = BLOCKS * kvBlockBytes(format, shape);
  // Both outputs lie in one buffer.
  const qBytes = roundUp(nTokens * 2 * rowStride(qRow) * 4, BINDING_ALIGNMENT);
  const { buffer } = whole(device.buffers.storage('other', 'q, cache', qBytes + nCacheBytes));
  const places = Uint32Array.from(positions.flatMap((position) => [position, 0]));
  const args = {
    qkv: upload(device, paddedRows(qkv, qkvRow)),
    angles: upload(device, Float32Array.from(anglesOf(made))),
    q: { buffer, offset: 0, sizeBytes: qBytes },
    kv: {
      format,
      kv: { buffer, offset: qBytes, sizeBytes: nCacheBytes },
      places: upload(device, places),
      blockTable: upload(device, table),
      ...ring,
    },
    shape,
    pairs,
    ropeFirst,
    ropeDim,
    qkvStride: rowStride(qkvRow),
    qStride: rowStride(qRow),
    nTokens,
    stage: 0,
  };
  const runs = await runThrice(
    device,
    (rec) => ropeAppend(rec, args),
    whole(buffer),
    buffer.size / 4,
    () => device.write(buffer, qBytes, new Uint8Array(nCacheBytes).fill(0xff)),
  );
  return runs.map((run) => ({
    q: unpadded(run.slice(0, nTokens * 2 * rowStride(qRow)), qRow),
    cache: new KvImage(format, shape, BLOCKS, new Uint8Array(run.slice(qBytes / 4).buffer, 0, nCacheBytes)),
  }));
}
