import { encode } from '@floe/testkit/encode';
import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { type Device, type Recorder, whole } from '../gpu/index.ts';
import { type FormatName, formatByName, formats, rowStride } from '../quant/index.ts';
import { groupByExpert } from './groupByExpert.ts';
import { gegluReference, matmulReference, swigluReference } from './matmul.reference.ts';
import { expertMatmul, expertShape, type MatmulOutput, matmul, WIDE_TOKENS } from './matmul.ts';
import { unpackParts } from './matrix.ts';
import {
  families,
  packMatrix,
  paddedRows,
  runThrice,
  testDevice,
  unpadded,
  upload,
  uploadMatrix,
} from './testGraph.ts';

/** f32 sums of a few hundred products round to about 1e-7 of the result's norm, 1e-14 squared; 1e-6 is the house's bound. */
const NMSE = 1e-6;
const random = seeded('matmul');

it('has a WGSL part for every format', () => {
  expect(Object.keys(unpackParts).sort()).toEqual(formats.map(({ name }) => name).sort());
});

describe.each(families)('matmul, %s', (family) => {
  // K 32: one group. 96: fewer groups than lanes. 4096: many rounds. N 1, 5, 257: no multiple of the rows a thread owns.
  // T 1: decode. 2, 5: a tile partly filled. 12, 33: the wide tiles of GPUs, partly filled and more than one.
  const cases = [
    { T: 1, N: 1, K: 32 },
    { T: 1, N: 257, K: 96 },
    { T: 1, N: 64, K: 4096 },
    { T: 2, N: 5, K: 64 },
    { T: 5, N: 257, K: 256 },
    { T: 12, N: 70, K: 64 },
    { T: 33, N: 64, K: 96 },
  ];
  // How a format is unpacked is a part that all kernels share: of most formats one case a family is enough. The wide tile
  // of GPUs, which takes seconds to compile, has one with a minimum and one of a table.
  const few = [{ T: 1, N: 257, K: 512 }];
  const tiled = [{ T: 12, N: 70, K: 256 }];
  const casesOf = (format: FormatName) => {
    if (['F32', 'Q8_0', 'Q4_0'].includes(format)) return cases;
    return family === 'cooperative' && ['Q4_K', 'MXFP4'].includes(format) ? tiled : few;
  };
  describe.each(formats.map(({ name }) => name))('%s', (format) => {
    it.each(casesOf(format))('equals the reference: T=$T N=$N K=$K', async ({ T, N, K }) => {
      const device = await testDevice({ family });
      const bytes = encode(format, random.normals(N * K, 0.1));
      const x = random.normals(T * K);
      const expected = matmulReference(x, formatByName(format).dequantize(bytes, N * K), T, N, K);
      for (const run of await multiply(device, 'store', format, bytes, x, { T, N, K })) {
        expect(nmse(run, expected)).toBeLessThan(NMSE);
      }
    });
  });

  it.each([1, 5])('takes odd lengths of floats: rows are padded with zeros (T=%i)', async (T) => {
    const device = await testDevice({ family });
    const [N, K] = [7, 45];
    const w = random.normals(N * K);
    const x = random.normals(T * K);
    const [run] = await multiply(device, 'store', 'F32', encode('F32', w), x, { T, N, K });
    expect(nmse(run!, matmulReference(x, w, T, N, K))).toBeLessThan(NMSE);
  });

  it.each([1, 5, 33])('swiglu takes gate and up stacked: silu(gate) · up (T=%i)', async (T) => {
    const device = await testDevice({ family });
    const [N, K] = [70, 64];
    const bytes = encode('Q8_0', random.normals(2 * N * K, 0.2));
    const x = random.normals(T * K);
    const gateUp = matmulReference(x, formatByName('Q8_0').dequantize(bytes, 2 * N * K), T, 2 * N, K);
    const [run] = await multiply(device, 'swiglu', 'Q8_0', bytes, x, { T, N: 2 * N, K });
    expect(nmse(run!, swigluReference(gateUp, T, N))).toBeLessThan(NMSE);
  });

  it('geglu takes gate and up stacked: gelu(gate) · up, by tanh', async () => {
    const device = await testDevice({ family });
    const [T, N, K] = [5, 70, 64];
    const bytes = encode('Q8_0', random.normals(2 * N * K, 0.2));
    const x = random.normals(T * K);
    const gateUp = matmulReference(x, formatByName('Q8_0').dequantize(bytes, 2 * N * K), T, 2 * N, K);
    const [run] = await multiply(device, 'geglu', 'Q8_0', bytes, x, { T, N: 2 * N, K });
    expect(nmse(run!, gegluReference(gateUp, T, N))).toBeLessThan(NMSE);
  });

  it('add takes what y holds, plus a scale times the product, at an offset of its row', async () => {
    const device = await testDevice({ family });
    const [T, N, K, yStride, yOffset, scale] = [3, 7, 32, 96, 5, -0.75];
    const weights = random.normals(N * K);
    const x = random.normals(T * K);
    const held = random.normals(T * yStride);
    const expected = Float64Array.from(held);
    matmulReference(x, weights, T, N, K).forEach((value, i) => {
      expected[Math.floor(i / N) * yStride + yOffset + (i % N)]! += scale * value;
    });
    const w = uploadMatrix(device, 'F32', encode('F32', weights), N, K);
    const y = upload(device, held);
    const args = {
      x: upload(device, paddedRows(x, K)),
      w,
      y,
      nTokens: T,
      output: 'add',
      scale,
      yStride,
      yOffset,
    } as const;
    const restore = () => device.write(y.buffer, 0, new Uint8Array(held.buffer));
    const record = (rec: Recorder) => matmul(rec, { ...args, stage: 0 });
    for (const run of await runThrice(device, record, y, T * yStride, restore)) {
      expect(nmse(run, expected)).toBeLessThan(NMSE);
    }
  });

  it('a row does not depend, bit for bit, on the other rows of the step', async () => {
    const device = await testDevice({ family });
    const [T, N, K] = [6, 65, 128];
    const bytes = encode('Q4_0', random.normals(N * K, 0.1));
    const x = random.normals(T * K);
    const other = x.map((value, i) => (i < K ? value : random.normal()));
    const [one] = await multiply(device, 'store', 'Q4_0', bytes, x, { T, N, K });
    const [two] = await multiply(device, 'store', 'Q4_0', bytes, other, { T, N, K });
    expect(one!.subarray(0, N)).toEqual(two!.subarray(0, N));
    expect(one!.subarray(N)).not.toEqual(two!.subarray(N));
  });

  it('a row has the same bits in a longer prompt of the same kernel, however many tokens share a weight', async () => {
    const device = await testDevice({ family });
    const [N, K] = [65, 96];
    const bytes = encode('Q4_0', random.normals(N * K, 0.1));
    const x = random.normals(WIDE_TOKENS * K);
    const [short] = await multiply(device, 'store', 'Q4_0', bytes, x.subarray(0, 33 * K), { T: 33, N, K });
    const [long] = await multiply(device, 'store', 'Q4_0', bytes, x, { T: WIDE_TOKENS, N, K });
    expect(long!.subarray(0, 33 * N)).toEqual(short);
  });

  it('control: one weight of 4096 that is 1 more is out of bounds', async () => {
    const device = await testDevice({ family });
    const [T, N, K] = [1, 1, 4096];
    const w = random.normals(N * K);
    const x = random.normals(T * K);
    x[7] = 1;
    const expected = matmulReference(x, w, T, N, K);
    const wrong = w.slice();
    wrong[7] = w[7]! + 1;
    const [run] = await multiply(device, 'store', 'F32', encode('F32', wrong), x, { T, N, K });
    expect(nmse(run!, expected)).toBeGreaterThan(NMSE);
  });

  describe('experts', () => {
    const [nExperts, k, N, K] = [6, 2, 40, 64];
    // T 1: pairs. 3: fewer pairs than experts. 50: several tiles of one expert.
    it.each([1, 3, 50])('each pair meets the expert it was routed to, wherever its slot is (T=%i)', async (T) => {
      const device = await testDevice({ family });
      const weights = Array.from({ length: nExperts }, () => encode('Q8_0', random.normals(N * K, 0.1)));
      const x = random.normals(T * K);
      const ids = Uint32Array.from({ length: T }, () => 0).reduce<number[]>((list) => {
        const first = random.int(0, nExperts - 1);
        return [...list, first, (first + random.int(1, nExperts - 1)) % nExperts];
      }, []);
      const expected = new Float64Array(T * k * N);
      for (let pair = 0; pair < T * k; pair++) {
        const row = x.subarray(Math.floor(pair / k) * K, Math.floor(pair / k) * K + K);
        const w = formatByName('Q8_0').dequantize(weights[ids[pair]!]!, N * K);
        expected.set(matmulReference(row, w, 1, N, K), pair * N);
      }
      const straight = await routed(device, weights, [0, 1, 2, 3, 4, 5], ids, x, T);
      for (const run of straight) expect(nmse(run, expected)).toBeLessThan(NMSE);
      // Other slots, and a pool of two buffers: not a bit may change.
      const [permuted] = await routed(device, weights, [4, 0, 5, 2, 1, 3], ids, x, T, 4);
      expect(permuted).toEqual(straight[0]);
    });

    async function routed(
      device: Device,
      weights: Uint8Array[],
      slotOf: number[],
      ids: number[],
      x: Float32Array,
      T: number,
      slotsPerPool = nExperts,
    ) {
      const packed = weights.map((bytes) => packMatrix('Q8_0', bytes, N, K));
      const slotBytes = packed[0]!.record.length;
      const pools = [];
      for (let firstSlot = 0; firstSlot < nExperts; firstSlot += slotsPerPool) {
        const nSlots = Math.min(slotsPerPool, nExperts - firstSlot);
        const bytes = new Uint8Array(nSlots * slotBytes);
        packed.forEach(({ record }, expert) => {
          const slot = slotOf[expert]! - firstSlot;
          if (slot >= 0 && slot < nSlots) bytes.set(record, slot * slotBytes);
        });
        pools.push({ view: upload(device, bytes), firstSlot, nSlots });
      }
      const { mainOffset, sideOffset } = packed[0]!;
      const route = {
        ids: upload(device, Uint32Array.from(ids)),
        weights: upload(device, new Float32Array(ids.length)),
        slots: upload(
          device,
          Uint32Array.from(ids, (id) => slotOf[id]!),
        ),
        starts: upload(device, new Uint32Array(nExperts + 1)),
        sorted: upload(device, new Uint32Array(ids.length)),
        nExperts,
        nExpertsUsed: k,
      };
      const y = whole(device.buffers.storage('other', 'y', T * k * rowStride(N) * 4));
      const w = { format: 'Q8_0' as const, nRows: N, rowElements: K, mainOffset, sideOffset, pools, slotBytes };
      const runs = await runThrice(
        device,
        (rec) => {
          if (T > 1) groupByExpert(rec, { route, nTokens: T, stage: 0 });
          expertMatmul(rec, {
            x: upload(device, paddedRows(x, K)),
            w,
            y,
            route,
            nTokens: T,
            sharedInput: true,
            stage: 0,
          });
        },
        y,
        T * k * rowStride(N),
      );
      return runs.map((run) => unpadded(run, N));
    }
  });
});

/**
 * What a grouped dispatch computes is a tile for every COLUMNS pairs of one expert, and nothing for an expert nobody
 * chose: counted from the tiles that the GPU's own sorting gives, not from what the host believes.
 */
it.each(families)(
  'a prefill computes as much with 128 experts as with 8, but for tiles partly filled: %s',
  async (family) => {
    const device = await testDevice({ family });
    const [T, k] = [128, 2];
    const computed = async (nExperts: number) => {
      const ids = Array.from({ length: T }, () => random.int(0, nExperts - 1)).flatMap((first) => [
        first,
        (first + 1) % nExperts,
      ]);
      const route = {
        ids: upload(device, Uint32Array.from(ids)),
        weights: upload(device, new Float32Array(T * k)),
        slots: upload(device, new Uint32Array(T * k)),
        starts: upload(device, new Uint32Array(nExperts + 1)),
        sorted: upload(device, new Uint32Array(T * k)),
        nExperts,
        nExpertsUsed: k,
      };
      const [run] = await runThrice(
        device,
        (rec) => groupByExpert(rec, { route, nTokens: T, stage: 0 }),
        route.starts,
        nExperts + 1,
      );
      const starts = new Uint32Array(run!.buffer, run!.byteOffset, nExperts + 1);
      const { COLUMNS } = expertShape(device, T, route, 'Q8_0');
      let pairs = 0;
      for (let expert = 0; expert < nExperts; expert++)
        pairs += Math.ceil((starts[expert + 1]! - starts[expert]!) / COLUMNS) * COLUMNS;
      return pairs;
    };
    const [few, many] = [await computed(8), await computed(128)];
    expect(few).toBeGreaterThanOrEqual(T * k);
    // Two pairs an expert, in tiles of two: at the worst every other tile is half empty.
    expect(many).toBeLessThanOrEqual(1.5 * T * k);
    expect(few).toBeLessThanOrEqual(2 * T * k);
  },
);

it('agrees between sets of lanes in workgroup memory and subgroups: a device without features', async () => {
  const device = await testDevice({ family: 'cooperative', limits: 'default' });
  expect(device.hasSubgroups).toBe(false);
  const [T, N, K] = [3, 33, 128];
  const bytes = encode('Q4_0', random.normals(N * K, 0.1));
  const x = random.normals(T * K);
  const expected = matmulReference(x, formatByName('Q4_0').dequantize(bytes, N * K), T, N, K);
  const [run] = await multiply(device, 'store', 'Q4_0', bytes, x, { T, N, K });
  expect(nmse(run!, expected)).toBeLessThan(NMSE);
});

async function multiply(
  device: Device,
  output: MatmulOutput,
  format: (typeof formats)[number]['name'],
  bytes: Uint8Array,
  x: Float32Array,
  { T, N, K }: { T: number; N: number; K: number },
): Promise<Float32Array[]> {
  const w = uploadMatrix(device, format, bytes, N, K);
  const nOut = output === 'swiglu' || output === 'geglu' ? N / 2 : N;
  const y = whole(device.buffers.storage('other', 'y', T * rowStride(nOut) * 4));
  const view = upload(device, paddedRows(x, K));
  const runs = await runThrice(
    device,
    (rec) => matmul(rec, { x: view, w, y, nTokens: T, output, stage: 0 }),
    y,
    T * rowStride(nOut),
  );
  return runs.map((run) => unpadded(run, nOut));
}
