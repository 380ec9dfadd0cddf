import { nmse } from '@floe/testkit/expectNear';
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { type DeviceOptions, whole } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { attentionReference, visibleKeys } from './attention.reference.ts';
import { attention, partialBytes, type SinkWindow } from './attention.ts';
import { blockOf, KvImage } from './kvFormats.reference.ts';
import { type AttentionShape, KV_BLOCK, type KvFormatName, kvBlockBytes } from './kvFormats.ts';
import { paddedRows, runThrice, testDevice, unpadded, upload } from './testGraph.ts';

/** Scores of order 10 round to 1e-6 in f32, and so do their exponentials: 1e-12 squared; 1e-6 is the house's bound. */
const NMSE = 1e-6;
const random = seeded('attention');
/** The cooperative kernels on the least of devices: nothing in them asks for more. */
const devices: DeviceOptions[] = [{ family: 'thread' }, { family: 'cooperative', limits: 'default' }];
/** Longer than its tests' positions: no key is out of sight. */
const PLAIN: SinkWindow = { window: 500, nSinks: 0 };

interface Token {
  readonly position: number;
  /** Its conversation. */
  readonly row: number;
}

interface Case extends SinkWindow {
  readonly shape: AttentionShape;
  readonly tokens: readonly Token[];
  readonly q: Float32Array;
  readonly cache: KvImage;
  /** Of all conversations together. */
  readonly table: Uint32Array;
  readonly fixedBlocks: number;
  readonly tableBlocks: number;
  readonly softCap?: number;
  readonly sinkLogits?: Float32Array;
  readonly scale?: number;
  readonly lastKey?: number;
}

const shapeOf = (nHeads: number, nKvHeads: number, headDim: number, valueDim = headDim): AttentionShape => ({
  nHeads,
  nKvHeads,
  headDim,
  valueDim,
});
/** Each in a conversation of its own. */
const at = (...positions: number[]): Token[] => positions.map((position, row) => ({ position, row }));
const from = (first: number, n: number, row = 0): Token[] =>
  Array.from({ length: n }, (_, i) => ({ position: first + i, row }));

describe.each(devices)('attention, %o', (options) => {
  // headDim 4, 256: the least and the most. 36: no multiple of 8 vectors. Heads 1, 5: no multiple of a workgroup's.
  // 192 / 128: values shorter than keys (deepseek2). 6 / 2, 5 / 1: groups. Positions 0: the weight is 1. 127, 128: around
  // a stretch. 199: two stretches, the second in part.
  it.each([
    shapeOf(1, 1, 4),
    shapeOf(6, 2, 4),
    shapeOf(5, 1, 36),
    shapeOf(3, 3, 128),
    shapeOf(2, 2, 192, 128),
    shapeOf(4, 2, 256),
  ])('equals the reference: $nHeads heads, $nKvHeads of keys, headDim=$headDim valueDim=$valueDim', async (shape) => {
    await expectReference(options, draw(shape, PLAIN, at(0, 127, 128, 199)));
  });

  const small = shapeOf(4, 2, 32);
  const tall = { window: 16, nSinks: 4 };

  // Around the first position that drops a key, two windows later, and far beyond what f32 can count; sinks in a block
  // of their own stretch, across one and beyond one, none, and so many that one recent key is left.
  it.each([
    { ...tall, positions: [3, 4, 14, 15, 16, 17, 18, 160, 2 ** 22 + 5, 2 ** 32 - 300] },
    { window: 300, nSinks: 4, positions: [126, 299, 300, 420, 433, 1000] },
    { window: 64, nSinks: 33, positions: [32, 63, 64, 97, 128, 700] },
    { window: 300, nSinks: 140, positions: [139, 299, 300, 301, 4000] },
    { window: 40, nSinks: 0, positions: [39, 40, 41, 200] },
    { window: 6, nSinks: 5, positions: [4, 5, 6, 100] },
  ])('keeps $nSinks sinks in a window of $window', async ({ positions, ...window }) => {
    await expectReference(options, draw(small, window, at(...positions)));
  });

  it('spreads a long window over stretches, for few tokens', async () => {
    const window = { window: 520, nSinks: 4 };
    await expectReference(options, draw(small, window, at(100, 519, 520, 1400)));
  });

  it.each(['F16', 'Q8_0'] as const)('reads a cache of %s', async (format) => {
    await expectReference(options, draw(small, tall, from(10, 10), { format }));
    await expectReference(options, draw(shapeOf(2, 1, 36, 20), tall, at(3, 40), { format }));
  });

  it('takes a soft cap, a scale, and a learned sink logit for each head', async () => {
    const more = { softCap: 3, scale: 0.3, sinkLogits: random.normals(4, 2) };
    await expectReference(options, { ...draw(small, tall, from(10, 12)), ...more });
    await expectReference(options, { ...draw(small, { window: 520, nSinks: 0 }, at(300)), ...more });
    const made = { ...draw(small, tall, at(3)), ...more };
    const [run] = await attend(options, made);
    for (const without of [{ softCap: 0 }, { scale: 0.31 }, { sinkLogits: more.sinkLogits.map((v) => v + 0.1) }])
      expect(nmse(run!, reference({ ...made, ...without })), Object.keys(without)[0]).toBeGreaterThan(NMSE);
  });

  // All of a text, from its beginning and from within; across stretches; and a few tokens, which a long window spreads.
  it.each([
    { first: 0, n: 12, lastKey: 11, window: 64 },
    { first: 3, n: 9, lastKey: 140, window: 256 },
    { first: 126, n: 4, lastKey: 300, window: 520 },
  ])('sees ahead up to position $lastKey from $first on', async ({ first, n, lastKey, window }) => {
    const made = { ...draw(small, { window, nSinks: 0 }, [...from(first, n), { position: lastKey, row: 0 }]), lastKey };
    await expectReference(options, made);
    const [run] = await attend(options, made);
    expect(nmse(run!, reference({ ...made, lastKey: lastKey - 1 }))).toBeGreaterThan(NMSE);
  });

  it.each([1, -1])('holds where scores change by hundreds from key to key, times %i', async (sign) => {
    const made = draw(shapeOf(1, 1, 4), PLAIN, at(1, 63, 129));
    made.q.fill(1);
    for (let position = 0; position < 130; position++)
      made.cache.put(
        blockOf(made.table, position, made),
        0,
        position % KV_BLOCK,
        Array(4).fill(sign * 100 * position),
        [...random.normals(4)],
      );
    await expectReference(options, made);
  });

  it('a row does not depend, bit for bit, on the tokens beside it or on how they are cut into steps', async () => {
    for (const window of [tall, { window: 520, nSinks: 4 }]) {
      // Two conversations' prompts in one step, of which a tile holds the end of one and the beginning of the other.
      const tokens = [...from(5, 13), ...from(505, 23, 1)];
      const made = draw(small, window, tokens);
      const [all] = await attend(options, made);
      const row = small.nHeads * small.valueDim;
      for (const [first, n] of [
        [0, 1],
        [12, 2],
        [13, 1],
        [20, 9],
        [35, 1],
      ] as const) {
        const [part] = await attend(options, cut(made, first, n));
        expect(part, `${first} + ${n}`).toEqual(all!.subarray(first * row, (first + n) * row));
      }
    }
  });

  it('controls: a key more, a sink less, another conversation are out of bounds', async () => {
    const made = draw(small, tall, [...at(60), { position: 60, row: 1 }]);
    const [both] = await attend(options, made);
    const run = both!.subarray(0, both!.length / 2);
    const one = cut(made, 0, 1);
    for (const other of [{ window: 17 }, { window: 15 }, { nSinks: 3 }, { tokens: [{ position: 60, row: 1 }] }])
      expect(nmse(run, reference({ ...one, ...other })), JSON.stringify(other)).toBeGreaterThan(NMSE);
  });
});

/** Conversations of random keys as long as is seen of them, in blocks that lie in no order; what nobody sees is NaN. */
function draw(
  shape: AttentionShape,
  window: SinkWindow,
  tokens: readonly Token[],
  { format = 'F32' }: { format?: KvFormatName } = {},
): Case {
  const nRows = Math.max(...tokens.map(({ row }) => row)) + 1;
  const greatest = Math.max(...tokens.map(({ position }) => position));
  const fixedBlocks = Math.ceil(window.nSinks / KV_BLOCK);
  const ring = Math.ceil(Math.min(greatest, window.window + tokens.length) / KV_BLOCK) + 2;
  const tableBlocks = fixedBlocks + ring;
  const table = shuffled(nRows * tableBlocks);
  const cache = new KvImage(format, shape, table.length).poison();
  const { nHeads, nKvHeads, headDim, valueDim } = shape;
  for (const { position, row } of tokens) {
    for (const key of visibleKeys(position, window)) {
      const block = blockOf(table.subarray(row * tableBlocks), key, { fixedBlocks, tableBlocks });
      for (let head = 0; head < nKvHeads; head++) {
        const made = random.fork(`${row} ${key} ${head}`);
        cache.put(block, head, key % KV_BLOCK, made.normals(headDim), made.normals(valueDim));
      }
    }
  }
  const q = random.normals(tokens.length * 2 * nHeads * headDim, 2);
  return { shape, ...window, tokens, q, cache, table, fixedBlocks, tableBlocks };
}

function shuffled(n: number): Uint32Array {
  const list = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = random.int(0, i);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}

function cut(made: Case, first: number, n: number): Case {
  const row = 2 * made.shape.nHeads * made.shape.headDim;
  return {
    ...made,
    tokens: made.tokens.slice(first, first + n),
    q: made.q.subarray(first * row, (first + n) * row),
  };
}

function reference(made: Case): Float64Array {
  const blockFor = (t: number, position: number) =>
    blockOf(made.table.subarray(made.tokens[t]!.row * made.tableBlocks), position, made);
  return attentionReference({
    ...made,
    positions: made.tokens.map(({ position }) => position),
    key: (t, position, head) => made.cache.key(blockFor(t, position), head, position % KV_BLOCK),
    value: (t, position, head) => made.cache.value(blockFor(t, position), head, position % KV_BLOCK),
  });
}

async function expectReference(options: DeviceOptions, made: Case): Promise<void> {
  const expected = reference(made);
  for (const run of await attend(options, made)) expect(nmse(run, expected)).toBeLessThan(NMSE);
}

async function attend(options: DeviceOptions, made: Case): Promise<Float32Array[]> {
  const device = await testDevice(options);
  const { shape, tokens, window, nSinks, fixedBlocks, tableBlocks } = made;
  const [qRow, yRow] = [shape.nHeads * shape.headDim, shape.nHeads * shape.valueDim];
  const [qStride, yStride] = [rowStride(qRow), rowStride(yRow)];
  const y = whole(device.buffers.storage('other', 'y', tokens.length * yStride * 4));
  const nPartialBytes = partialBytes(shape, made, tokens.length);
  const args = {
    q: upload(device, paddedRows(made.q, qRow)),
    kv: {
      format: made.cache.format,
      kv: upload(device, made.cache.bytes),
      places: upload(device, Uint32Array.from(tokens.flatMap(({ position, row }) => [position, row]))),
      blockTable: upload(device, made.table),
      fixedBlocks,
      tableBlocks,
    },
    y,
    partials: nPartialBytes === 0 ? null : whole(device.buffers.storage('other', 'partials', nPartialBytes)),
    shape,
    window,
    nSinks,
    qStride,
    yStride,
    ...(made.softCap === undefined ? {} : { softCap: made.softCap }),
    ...(made.scale === undefined ? {} : { scale: made.scale }),
    ...(made.lastKey === undefined ? {} : { lastKey: made.lastKey }),
    ...(made.sinkLogits ? { sinkLogits: upload(device, made.sinkLogits) } : {}),
    nTokens: tokens.length,
    stage: 0,
  };
  const runs = await runThrice(device, (rec) => attention(rec, args), y, tokens.length * yStride);
  return runs.map((run) => unpadded(run, yRow));
}

it('a cache of Q8_0 has at most 54% of the bytes of F16, which has half of those of F32', () => {
  const bytes = (format: KvFormatName, dim: number) => kvBlockBytes(format, shapeOf(4, 2, dim));
  expect(bytes('F16', 128) / bytes('F32', 128)).toBe(0.5);
  expect(bytes('Q8_0', 128) / bytes('F16', 128)).toBeLessThanOrEqual(0.54);
  expect(bytes('Q8_0', 36) / bytes('F16', 36)).toBeLessThanOrEqual(0.56);
});
