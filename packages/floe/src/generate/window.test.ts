/** The window that slides with its sinks, in whole models: against StreamingLLM step by step in float64. */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { testData } from '@floe/testkit/data';
import { chatPrompts } from '@floe/testkit/evalChats';
import { logSoftmax, nmse } from '@floe/testkit/expectNear';
import { testGpu } from '@floe/testkit/nodeGpu';
import { type RandomModelOptions, randomModel } from '@floe/testkit/randomModel';
import { referenceModel } from '@floe/testkit/referenceModel';
import { seeded } from '@floe/testkit/seeded';
import { type StreamingOptions, streamingReference } from '@floe/testkit/streamingReference';
import { afterAll, describe, expect, it } from 'vitest';
import { parseHeader, readGguf } from '../gguf/index.ts';
import { type Device, type DeviceOptions, openDevice } from '../gpu/index.ts';
import { systemClock } from '../host/index.ts';
import { type ContextPlan, placeModel, planModel, ropeAngles } from '../model/index.ts';
import { packRecord } from '../store/index.ts';
import { Engine } from './index.ts';

const options: RandomModelOptions = {
  ...{ architecture: 'llama', type: 'F32', nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, ffDim: 160 },
  seed: 2,
};
const HEAD_DIM = 16;
const tall = { window: 16, nSinks: 4 };
const sliding: ContextPlan = { ...tall, overflow: 'slide', kv: 'F32' };
const W = tall.window;
const ids = Array.from(seeded('window').ints(10 * W + 2, 0, 299));
/** Positions around the first key that is dropped, and far behind it. */
const POSITIONS = [W - 1, W, W + 1, 2 * W, 10 * W];
/** Of log-probabilities; issue's bound, and what two engines in f32 differ by at the most. */
const NEAR = 2e-3;

/** Queries so long that attention sees little but its favourites: where it sees all alike, a key too many hides. */
function peaked(bytes: Uint8Array): Uint8Array {
  return withRows(bytes, 'attn_q', (weights) => weights.map((value) => 4 * value));
}

/** The rows of q and k as a file has them whose pairs are halves of a head: the same model. */
function inHalves(bytes: Uint8Array): Uint8Array {
  const reorder = (weights: Float32Array) => {
    const out = weights.slice();
    const rowLength = options.modelDim;
    for (let row = 0; row < weights.length / rowLength; row++) {
      const [head, dim] = [Math.floor(row / HEAD_DIM), row % HEAD_DIM];
      const to = head * HEAD_DIM + (dim % 2) * (HEAD_DIM / 2) + Math.floor(dim / 2);
      out.set(weights.subarray(row * rowLength, (row + 1) * rowLength), to * rowLength);
    }
    return out;
  };
  return withRows(withRows(bytes, 'attn_q', reorder), 'attn_k', reorder);
}

function withRows(bytes: Uint8Array, stem: string, change: (weights: Float32Array) => Float32Array): Uint8Array {
  const out = bytes.slice();
  const result = parseHeader(out, out.length);
  if (result.kind !== 'done') throw new Error('the whole file is here');
  for (const [name, { offset, sizeBytes }] of result.gguf.tensors) {
    if (!name.includes(`.${stem}.`)) continue;
    const weights = new Float32Array(out.slice(offset, offset + sizeBytes).buffer);
    out.set(new Uint8Array(change(weights).buffer), offset);
  }
  return out;
}

const file = peaked(randomModel(options));
const reference = referenceModel(file);
const expectedBy = (changes: Partial<StreamingOptions> = {}) =>
  streamingReference(reference, ids, { ...tall, ...changes }).map(logSoftmax);
const expected = expectedBy();

interface Setup {
  readonly context?: Partial<ContextPlan>;
  readonly halves?: boolean;
  readonly device?: DeviceOptions;
  readonly bytes?: Uint8Array;
}

const opened: { engine: Engine; device: Device }[] = [];
afterAll(async () => {
  for (const { engine, device } of opened) {
    await engine.destroy();
    device.destroy();
  }
});

async function open({ context, halves = false, device: deviceOptions = {}, bytes = file }: Setup = {}) {
  const device = await openDevice(testGpu(), deviceOptions);
  const whole = halves ? inHalves(bytes) : bytes;
  const read = async (offset: number, length: number) => whole.subarray(offset, offset + length);
  const plan = planModel(await readGguf({ sizeBytes: whole.length, read }));
  const { description } = plan;
  const rope = halves ? { ...description.rope, pairs: 'halves' as const } : description.rope;
  const described = { ...plan, description: { ...description, rope } };
  const placed = await placeModel(device, described, { read: (record) => packRecord(record, read) });
  const engine = new Engine(device, placed, { ...sliding, ...context }, systemClock);
  const made = { engine, conversation: engine.open(), device };
  opened.push(made);
  return made;
}

async function logprobsOf(
  { conversation, device }: Awaited<ReturnType<typeof open>>,
  of = ids,
): Promise<Float64Array[]> {
  const rows: Float64Array[] = [];
  conversation.rewind(0);
  for await (const logits of conversation.logits(of, () => {})) rows.push(logSoftmax(logits));
  device.throwIfFailed();
  return rows;
}

/** The greatest difference of a log-probability at the positions that matter. */
function distance(a: readonly Float64Array[], b: readonly Float64Array[], positions = POSITIONS): number {
  return Math.max(...positions.flatMap((at) => Array.from(a[at]!, (value, id) => Math.abs(value - b[at]![id]!))));
}

describe('a window of 16 with 4 sinks equals StreamingLLM, step by step in float64', () => {
  it.each([
    { name: 'pairs that are neighbours', setup: {} },
    { name: 'pairs that are halves', setup: { halves: true } },
    { name: 'cooperative kernels', setup: { device: { family: 'cooperative' } } },
  ] as { name: string; setup: Setup }[])('$name, in chunks of a prompt', async ({ setup }) => {
    expect(distance(await logprobsOf(await open(setup)), expected)).toBeLessThan(NEAR);
  });

  it('decoded token by token', async () => {
    const { conversation } = await open();
    const rows: Float64Array[] = [expected[0]!];
    for await (const logits of conversation.replay(ids)) rows.push(logSoftmax(logits));
    expect(distance(rows, expected)).toBeLessThan(NEAR);
  });

  // Turned as if so many tokens had gone before: distances are what they were, and every angle is a large one.
  const far = (offset: number, round: (x: number) => number = (x) => x): typeof ropeAngles => {
    return ({ turns, magnitude }, places) => {
      const moved = Array.from(places, (place, i) => (i % 2 === 0 && place >= tall.nSinks ? place + offset : place));
      if (round(0.1) === 0.1) return ropeAngles({ turns, magnitude }, moved);
      const pairs = moved.flatMap((place) => Array.from(turns, (turn) => round(round(place) * round(turn))));
      return Float32Array.from(pairs.flatMap((angle) => [Math.cos(angle), Math.sin(angle)]));
    };
  };
  it.each([2 ** 22 + 1, 2 ** 31 + 5])('%i tokens on', async (offset) => {
    const made = await open();
    made.engine.places.anglesOf = far(offset);
    expect(distance(await logprobsOf(made), expected)).toBeLessThan(NEAR);
  });
  it('control: angles in f32 at 2^22 are out of bounds', async () => {
    const made = await open();
    made.engine.places.anglesOf = far(2 ** 22 + 1, Math.fround);
    expect(distance(await logprobsOf(made), expected)).toBeGreaterThan(NEAR);
  });

  it('controls: sinks shifted by one, a sink fewer, a window one longer or shorter are out of bounds', async () => {
    const found = await logprobsOf(await open());
    const others = [{ sinksShift: 1 }, { nSinks: 3 }, { window: 17 }, { window: 15 }];
    for (const other of others) expect(distance(found, expectedBy(other)), JSON.stringify(other)).toBeGreaterThan(NEAR);
    // Which shows only where attention has favourites.
    const entropies: number[] = [];
    expectedBy({ onWeights: (p) => entropies.push(p.reduce((sum, w) => sum - (w > 0 ? w * Math.log(w) : 0), 0)) });
    expect(entropies.reduce((sum, entropy) => sum + entropy, 0) / entropies.length).toBeLessThan(2);
  });
});

describe('a window', () => {
  it('that is not full is plain attention, bit for bit', async () => {
    const short = ids.slice(0, 60);
    const sinks = await logprobsOf(await open({ context: { window: 64 } }), short);
    const plain = await logprobsOf(await open({ context: { window: 64, nSinks: 0, overflow: 'stop' } }), short);
    expect(sinks).toEqual(plain);
    const slid = await logprobsOf(await open({ context: { window: 40 } }), short);
    expect([slid[39], slid[59]]).toEqual([plain[39], expect.not.arrayContaining([...plain[59]!])]);
  });

  it.each(['stop', 'error'] as const)("that may not slide ('%s') refuses the token beyond it", async (overflow) => {
    const made = await open({ context: { overflow } });
    await expect(logprobsOf(made, ids.slice(0, W))).resolves.toHaveLength(W);
    await expect(logprobsOf(made, ids.slice(0, W + 1))).rejects.toMatchObject({ code: 'context/full' });
  });

  it('kept in Q8_0 has the bytes that its format says, and gives nearly the same as in F16', async () => {
    const [f16, q8] = [
      await open({ context: { kv: 'F16', window: 64 } }),
      await open({ context: { kv: 'Q8_0', window: 64 } }),
    ];
    const layers = ({ engine }: { engine: Engine }) => engine.kv.buffer(0).size + engine.kv.buffer(1).size;
    // Heads of 16 have a scale for 16 values, not for 32.
    expect(layers(q8) / layers(f16)).toBe((16 + 16 + 4) / 64);
    const [half, byte] = [await logprobsOf(f16), await logprobsOf(q8)];
    for (const at of POSITIONS) expect(nmse(byte[at]!, half[at]!)).toBeLessThan(1e-3);
    expect(byte).not.toEqual(half);
  });
});

const tiny = testData('arctic-tiny-sql-q8_0.gguf');
it.skipIf(!tiny)('Q8_0 costs less than 1% of perplexity against F16, and has at most 54% of its bytes', async () => {
  const prompts = await chatPrompts(tiny!, 8);
  const results: { loss: number; kvBytes: number }[] = [];
  for (const kv of ['F16', 'Q8_0'] as const) {
    const made = await open({ bytes: readFileSync(tiny!), context: { window: 256, kv } });
    const losses: number[] = [];
    for (const ids of prompts) {
      const rows = await logprobsOf(made, ids);
      losses.push(...ids.slice(1).map((id, i) => -rows[i]![id]!));
    }
    const loss = losses.reduce((sum, one) => sum + one, 0) / losses.length;
    results.push({ loss, kvBytes: made.device.buffers.bytes().kv });
  }
  const [f16, q8] = results as [(typeof results)[0], (typeof results)[0]];
  expect(Math.abs(Math.exp(q8.loss - f16.loss) - 1)).toBeLessThan(0.01);
  expect(q8.kvBytes / f16.kvBytes).toBeLessThanOrEqual(0.54);
});

it('5,000 tokens in one conversation cost the same each: dispatches, bytes written, memory', async () => {
  const { engine, conversation, device } = await open({ bytes: randomModel({ ...options, nLayers: 1 }) });
  await engine.warmUp();
  conversation.rewind(0);
  let pending = await conversation.prefill(ids.slice(0, W), { kind: 'greedy' }, 0, () => {});
  const tally = () => ({
    ...device.counts,
    buffers: device.buffers.count,
    ...device.buffers.bytes(),
    heap: heapBytes(),
  });
  const costs: Record<string, number>[] = [];
  const generated: number[] = [];
  for (let i = 0; i < 5000; i++) {
    const next = await conversation.decode({ kind: 'greedy' }, 0);
    generated.push(await pending.wait());
    pending = next;
    if (i % 500 === 499) costs.push(tally());
  }
  await pending.wait();
  expect(conversation.length).toBe(W + 5000);
  const { length } = costs;
  for (const name of ['submits', 'dispatches', 'writtenBytes']) {
    const per500 = costs.slice(2).map((cost, i) => cost[name]! - costs[i + 1]![name]!);
    expect(new Set(per500).size, name).toBe(1);
  }
  for (const name of ['buffers', 'kv', 'activations', 'weights', 'other'])
    expect(costs[length - 1]![name], name).toBe(costs[0]![name]);
  // Behind the second 500, when all that is compiled and kept once is there.
  expect(costs[length - 1]!.heap! - costs[1]!.heap!).toBeLessThan(1e6);
  expect(new Set(generated).size).toBeGreaterThan(1);
});

/** Of this process's objects, when those that nobody knows are gone. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
