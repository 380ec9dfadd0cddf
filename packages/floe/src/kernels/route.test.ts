import { encode } from '@floe/testkit/encode';
import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import {
  BINDING_ALIGNMENT,
  type BufferView,
  type Device,
  type DeviceOptions,
  Recorder,
  readBuffer,
  roundUp,
  whole,
} from '../gpu/index.ts';
import { argmax, type PickArgs } from './argmax.ts';
import { attention } from './attention.ts';
import { combine } from './combine.ts';
import { groupByExpert } from './groupByExpert.ts';
import type { KvView } from './kvFormats.ts';
import { lookup } from './lookup.ts';
import { expertMatmul, matmul, type SortedRoute } from './matmul.ts';
import { rmsNorm } from './rmsNorm.ts';
import { ropeAppend } from './ropeAppend.ts';
import { routeReference } from './route.reference.ts';
import { ABSENT, denseStage, expertStage, NO_FAULT, route } from './route.ts';
import { sample } from './sample.ts';
import { families, packMatrix, paddedRows, runThrice, testDevice, upload, uploadMatrix } from './testGraph.ts';

/** An exponential in f32: 1e-6 at the worst, 1e-12 squared; 1e-6 is the house's bound. */
const NMSE = 1e-6;
const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const random = seeded('route');

interface Case {
  readonly logits: Float32Array;
  readonly nExperts: number;
  readonly k: number;
  /** By layer and expert; default: every expert has a slot. */
  readonly pageTable?: Uint32Array;
  readonly layer?: number;
  readonly fault?: number;
}

interface Routed {
  readonly ids: number[];
  readonly weights: Float32Array;
  readonly slots: number[];
  readonly fault: number;
}

describe.each<DeviceOptions>([{}, { limits: 'default' }])('route, %o', (options) => {
  // 1 of 1: the least. 17: one more than a workgroup. 45: rows of logits with padding. 128, 2: arctic. k = nExperts: all.
  it.each([
    { T: 1, nExperts: 1, k: 1 },
    { T: 1, nExperts: 8, k: 2 },
    { T: 3, nExperts: 17, k: 3 },
    { T: 5, nExperts: 45, k: 1 },
    { T: 4, nExperts: 4, k: 4 },
    { T: 33, nExperts: 128, k: 2 },
  ])('equals the reference: T=$T, $k of $nExperts experts', async ({ T, nExperts, k }) => {
    await expectReference(options, { logits: random.normals(T * nExperts, 3), nExperts, k });
    // Of few values, so that most tie.
    await expectReference(options, { logits: Float32Array.from(random.ints(T * nExperts, -2, 2)), nExperts, k });
  });

  it.each([
    { what: 'the lower ids of equals', logits: [1, 2, 2, 1, 2], ids: [1, 2] },
    { what: '-0 and 0 as equals', logits: [-1, -0, 0, -2], ids: [1, 2] },
    { what: 'never NaN, of either sign', logits: [nan, -5, nan, -4, nan], ids: [3, 1] },
    { what: '-inf before NaN', logits: [nan, -inf, nan, 1], ids: [3, 1] },
    { what: 'inf, twice, with weights that are numbers', logits: [3e38, inf, nan, inf], ids: [1, 3] },
    { what: 'the least of numbers before NaN', logits: [nan, -3.4e38, nan, -3.3e38], ids: [3, 1] },
  ])('picks $what', async ({ logits, ids }) => {
    const values = Float32Array.from(logits);
    // The sign bit of a NaN is set where it came out of some subtractions.
    const bits = new Uint32Array(values.buffer);
    for (const [i, value] of values.entries()) if (Number.isNaN(value) && i % 4 === 0) bits[i] = 0xffc00001;
    const made = { logits: values, nExperts: logits.length, k: 2 };
    expect(routeReference(values, 2).ids).toEqual(ids);
    await expectReference(options, made);
  });

  it('gives ids, and weights that are numbers, where all logits are NaN', async () => {
    for (const run of await choose(options, { logits: new Float32Array(5).fill(nan), nExperts: 5, k: 2 })) {
      expect(run.ids).toEqual([0, 1]);
      expect(run.weights.every((weight) => weight > 0 && weight <= 1)).toBe(true);
    }
  });

  describe('with a page table', () => {
    const nExperts = 4;
    const logits = Float32Array.from([4, 3, 2, 1, 1, 2, 3, 4]);
    // Layer 0 holds nothing; layer 1 all in other places; layer 2 lacks expert 1; layer 3 lacks expert 2.
    const pageTable = Uint32Array.from(
      [
        [ABSENT, ABSENT, ABSENT, ABSENT],
        [3, 9, 1, 7],
        [0, ABSENT, 2, 5],
        [4, 6, ABSENT, 8],
      ].flat(),
    );
    const made = { logits, nExperts, k: 2, pageTable };

    it('gives the slots of its own layer and leaves the fault flag where all are there', async () => {
      for (const run of await choose(options, { ...made, layer: 1 })) {
        expect(run).toMatchObject({ ids: [0, 1, 3, 2], slots: [3, 9, 7, 1], fault: NO_FAULT });
      }
    });

    it.each([0, 2, 3])('lowers the flag to the stage of layer %i, where a chosen expert is absent', async (layer) => {
      for (const run of await choose(options, { ...made, layer })) {
        expect(run.ids).toEqual([0, 1, 3, 2]);
        expect(run.slots).toEqual([0, 1, 3, 2].map((id) => pageTable[layer * nExperts + id]));
        expect(run.fault).toBe(denseStage(layer));
      }
    });

    it('does not fault for an absent expert that no token chose', async () => {
      for (const run of await choose(options, { ...made, logits: logits.subarray(4), layer: 2 })) {
        expect(run).toMatchObject({ ids: [3, 2], slots: [5, 2], fault: NO_FAULT });
      }
    });

    it('never raises a flag that lies lower, and does not route behind it', async () => {
      for (const run of await choose(options, { ...made, layer: 2, fault: denseStage(1) })) {
        expect(run).toEqual({ ...untouched(4), fault: denseStage(1) });
      }
    });

    it('routes again in the layer that faulted: every miss of it is told', async () => {
      for (const run of await choose(options, { ...made, layer: 2, fault: denseStage(2) })) {
        expect(run).toMatchObject({ ids: [0, 1, 3, 2], fault: denseStage(2) });
      }
    });
  });

  it('control: other logits choose other experts', async () => {
    const made = { logits: Float32Array.from([1, 2, 3, 4]), nExperts: 4, k: 2 };
    await expect(expectReference(options, made, Float32Array.from([4, 3, 2, 1]))).rejects.toThrow('to deeply equal');
  });
});

describe.each(families)('behind a fault, %s', (family) => {
  // Over ones, none of them would write the 7 that was there.
  const kernels: Record<string, (rec: Recorder, y: BufferView, stage: number) => void> = {
    rmsNorm: (rec, y, stage) =>
      rmsNorm(rec, { ...ones(rec.device, ['x', 'weight']), y, nTokens: 1, modelDim: 32, eps: 1e-5, stage }),
    ropeAppend: (rec, y, stage) =>
      ropeAppend(rec, {
        ...ones(rec.device, ['qkv', 'angles']),
        kv: cacheOfOnes(rec),
        q: y,
        shape,
        pairs: 'interleaved',
        ropeDim: 32,
        qkvStride: 96,
        qStride: 32,
        nTokens: 1,
        stage,
      }),
    attention: (rec, y, stage) =>
      attention(rec, {
        ...ones(rec.device, ['q']),
        kv: cacheOfOnes(rec),
        y,
        partials: null,
        shape,
        window: 32,
        nSinks: 0,
        qStride: 32,
        yStride: 32,
        nTokens: 1,
        stage,
      }),
    'matmul of one token': (rec, y, stage) => dense(rec, y, 1, stage),
    'matmul of some': (rec, y, stage) => dense(rec, y, 3, stage),
    'expertMatmul of one token': (rec, y, stage) => experts(rec, y, 1, stage),
    'expertMatmul of some': (rec, y, stage) => experts(rec, y, 3, stage),
    lookup: (rec, y, stage) =>
      lookup(rec, {
        route: { ...routeOf(rec.device, 1), slots: y },
        waveTable: upload(rec.device, new Uint32Array(64)),
        nTokens: 1,
        stage,
      }),
    groupByExpert: (rec, y, stage) =>
      groupByExpert(rec, {
        route: { ...routeOf(rec.device, 1), starts: y },
        nTokens: 1,
        stage,
      }),
    argmax: (rec, y, stage) => argmax(rec, picked(rec, y, stage)),
    sample: (rec, y, stage) => sample(rec, { ...picked(rec, y, stage), ...ones(rec.device, ['sampling']) }),
    combine: (rec, y, stage) =>
      combine(rec, {
        ...ones(rec.device, ['outputs']),
        route: routeOf(rec.device, 1),
        y,
        nTokens: 1,
        modelDim: 32,
        stage,
      }),
  };

  it.each(Object.keys(kernels))(
    '%s returns without touching y; at the fault itself and before it, it runs',
    async (name) => {
      const device = await testDevice({ family });
      const before = new Float32Array(256).fill(7);
      const after = async (stage: number) => {
        const fault = upload(device, Uint32Array.of(denseStage(5)));
        const y = upload(device, before);
        const rec = new Recorder(device, fault);
        kernels[name]!(rec, y, stage);
        const graph = await rec.finish('test');
        for (let run = 0; run < 3; run++) {
          const encoder = device.gpu.createCommandEncoder();
          graph.encode(encoder);
          device.submit(encoder.finish());
        }
        return new Float32Array(await readBuffer(device, y.buffer, 0, 1024));
      };
      expect(await after(expertStage(5))).toEqual(before);
      expect(await after(denseStage(6))).toEqual(before);
      expect(await after(denseStage(5))).not.toEqual(before);
      expect(await after(expertStage(4))).not.toEqual(before);
      device.throwIfFailed();
    },
  );

  const shape = { nHeads: 1, nKvHeads: 1, headDim: 32, valueDim: 32 };

  function ones<Name extends string>(device: Device, names: readonly Name[]): Record<Name, BufferView> {
    const made = names.map((name) => [name, upload(device, new Float32Array(128).fill(1))]);
    return Object.fromEntries(made) as Record<Name, BufferView>;
  }

  function cacheOfOnes({ device }: Recorder): KvView {
    const [places, blockTable] = [upload(device, new Uint32Array(2)), upload(device, new Uint32Array(2))];
    const kv = upload(device, new Float32Array(32 * 64).fill(1));
    return { format: 'F32', kv, places, blockTable, fixedBlocks: 0, tableBlocks: 2 };
  }

  function routeOf(device: Device, nTokens: number): SortedRoute {
    const zeros = () => upload(device, new Uint32Array(64));
    return {
      ids: zeros(),
      weights: upload(device, new Float32Array(nTokens).fill(1)),
      slots: zeros(),
      starts: upload(device, Uint32Array.of(0, nTokens)),
      sorted: upload(
        device,
        Uint32Array.from({ length: nTokens }, (_, pair) => pair),
      ),
      nExperts: 1,
      nExpertsUsed: 1,
    };
  }

  function picked({ device }: Recorder, tokens: BufferView, stage: number): PickArgs {
    const sampled = upload(device, new Uint32Array(4));
    return { ...ones(device, ['logits']), sampled, tokens, nRows: 1, nVocab: 64, stage };
  }

  function dense(rec: Recorder, y: BufferView, nTokens: number, stage: number): void {
    const w = uploadMatrix(rec.device, 'F32', encode('F32', new Float32Array(32 * 32).fill(1)), 32, 32);
    matmul(rec, { ...ones(rec.device, ['x']), w, y, nTokens, stage });
  }

  function experts(rec: Recorder, y: BufferView, nTokens: number, stage: number): void {
    const { record, ...offsets } = packMatrix('F32', encode('F32', new Float32Array(32 * 32).fill(1)), 32, 32);
    const pools = [{ view: upload(rec.device, record), firstSlot: 0, nSlots: 1 }];
    const w = { format: 'F32' as const, nRows: 32, rowElements: 32, ...offsets, pools, slotBytes: record.length };
    const chosen = routeOf(rec.device, nTokens);
    expertMatmul(rec, { ...ones(rec.device, ['x']), w, y, route: chosen, nTokens, sharedInput: true, stage });
  }
});

async function expectReference(options: DeviceOptions, made: Case, of = made.logits): Promise<void> {
  const { nExperts, k } = made;
  const rows = Array.from({ length: of.length / nExperts }, (_, t) =>
    routeReference(of.subarray(t * nExperts, (t + 1) * nExperts), k),
  );
  const ids = rows.flatMap((row) => row.ids);
  for (const run of await choose(options, made)) {
    expect(run.ids).toEqual(ids);
    expect(
      nmse(
        run.weights,
        rows.flatMap((row) => row.weights),
      ),
    ).toBeLessThan(NMSE);
    expect(run.slots).toEqual(ids.map((id) => nExperts - id));
    expect(run.fault).toBe(NO_FAULT);
  }
}

/** What the outputs hold before a run. */
function untouched(nPairs: number): Omit<Routed, 'fault'> {
  const bits = new Uint32Array(nPairs).fill(77);
  return { ids: [...bits], weights: new Float32Array(bits.buffer), slots: [...bits] };
}

it.each<DeviceOptions>([{}, { limits: 'default' }])(
  'looked up later, it chooses the same and knows no table, %o',
  async (options) => {
    const device = await testDevice(options);
    const [T, nExperts, k] = [5, 17, 3];
    const logits = random.normals(T * nExperts, 3);
    const padded = paddedRows(logits, nExperts);
    const unused = upload(device, new Uint32Array(64));
    const ids = upload(device, new Uint32Array(64));
    const weights = upload(device, new Float32Array(64));
    const args = { ids, weights, slots: unused, starts: unused, sorted: unused, nExperts, nExpertsUsed: k };
    const record = (rec: Recorder) =>
      route(rec, {
        logits: upload(device, padded),
        logitStride: padded.length / T,
        route: args,
        slots: 'later',
        layer: 3,
        nTokens: T,
      });
    const rows = Array.from({ length: T }, (_, t) =>
      routeReference(logits.subarray(t * nExperts, (t + 1) * nExperts), k),
    );
    for (const run of await runThrice(device, record, ids, T * k)) {
      expect([...new Uint32Array(run.buffer, 0, T * k)]).toEqual(rows.flatMap((row) => row.ids));
    }
    const [found] = await runThrice(device, record, weights, T * k);
    expect(
      nmse(
        found!,
        rows.flatMap((row) => row.weights),
      ),
    ).toBeLessThan(NMSE);
  },
);

async function choose(options: DeviceOptions, made: Case): Promise<Routed[]> {
  const { logits, nExperts, k, layer = 0, fault = NO_FAULT } = made;
  const device = await testDevice(options);
  const nTokens = logits.length / nExperts;
  const nPairs = nTokens * k;
  // Ids, weights, slots and the flag lie in one buffer.
  const part = roundUp(nPairs * 4, BINDING_ALIGNMENT);
  const { buffer } = whole(device.buffers.storage('other', 'route', 4 * part));
  const at = (i: number): BufferView => ({ buffer, offset: i * part, sizeBytes: part });
  const unused = upload(device, new Uint32Array(1));
  const padded = paddedRows(logits, nExperts);
  const before = new Uint32Array(part).fill(77);
  before[(3 * part) / 4] = fault;
  const args = {
    logits: upload(device, padded),
    logitStride: padded.length / nTokens,
    route: { ids: at(0), weights: at(1), slots: at(2), starts: unused, sorted: unused, nExperts, nExpertsUsed: k },
    slots: {
      pageTable: upload(device, made.pageTable ?? Uint32Array.from({ length: nExperts }, (_, id) => nExperts - id)),
      fault: at(3),
    },
    layer,
    nTokens,
  };
  const runs = await runThrice(
    device,
    (rec) => route(rec, args),
    whole(buffer),
    part,
    () => device.write(buffer, 0, new Uint8Array(before.buffer)),
  );
  return runs.map((run) => {
    const list = (i: number, n: number) => [...new Uint32Array(run.buffer, i * part, n)];
    return {
      ids: list(0, nPairs),
      weights: new Float32Array(run.buffer, part, nPairs),
      slots: list(2, nPairs),
      fault: list(3, 1)[0]!,
    };
  });
}
