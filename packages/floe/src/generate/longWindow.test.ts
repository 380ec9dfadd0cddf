/**
 * A window of 32,768 tokens, on a model trained for 4,096 whose positions are scaled down. A prompt of that length would
 * take minutes on a software adapter, so the cache is filled as a saved conversation is: with the keys and values that one
 * layer has, in float64; what is put through is the window's end and what comes behind it.
 */
import { logSoftmax } from '@floe/testkit/expectNear';
import { randomModel } from '@floe/testkit/randomModel';
import { matvec, referenceModel, rmsNorm, rope, softmax, swiglu } from '@floe/testkit/referenceModel';
import { seeded } from '@floe/testkit/seeded';
import { expect, it } from 'vitest';
import { readBuffer } from '../gpu/index.ts';
import { systemClock } from '../host/index.ts';
import { visibleKeys } from '../kernels/attention.reference.ts';
import { KV_BLOCK } from '../kernels/index.ts';
import { KvImage } from '../kernels/kvFormats.reference.ts';
import { testDevice } from '../kernels/testGraph.ts';
import { type ContextPlan, placeModel } from '../model/index.ts';
import { packRecord } from '../store/index.ts';
import { type Conversation, Engine } from './index.ts';
import { GREEDY, planOf } from './pagedAnswer.testing.ts';

const WINDOW = 32_768;
const FACTOR = 8;
const shape = { nHeads: 4, nKvHeads: 2, headDim: 16, valueDim: 16 };
const context: ContextPlan = { window: WINDOW, nSinks: 4, overflow: 'slide', kv: 'F32' };
const bytes = randomModel({
  ...{ architecture: 'llama', type: 'F32', nLayers: 1, modelDim: 64, nVocab: 320, ffDim: 160, seed: 2, ...shape },
  nCtxTrain: WINDOW,
  ropeScaling: { type: 'linear', factor: { f32: FACTOR }, original_context_length: WINDOW / FACTOR },
});
const ids = Array.from(seeded('long window').ints(WINDOW + 60, 0, 299));
/** Positions that are in the cache before anything is put through: up to within a block. */
const N_FILLED = WINDOW - 40;
/** As in window.test.ts. */
const NEAR = 2e-3;

const model = referenceModel(bytes);
const w = (stem: string) => model.weights(`blk.0.${stem}.weight`);
const norm = (x: Float64Array, stem: string) => rmsNorm(x, model.weights(`${stem}.weight`), 1e-5);
const add = (a: Float64Array, b: Float64Array) => a.map((value, i) => value + b[i]!);
const head = (v: Float64Array, i: number) => v.subarray(i * shape.headDim, (i + 1) * shape.headDim);
/** Of each id, what one layer makes of it before any position is known. */
const known = Array.from({ length: 300 }, (_, id) => {
  const x = model.weights('token_embd.weight').slice(id * 64, (id + 1) * 64);
  const h = norm(x, 'blk.0.attn_norm');
  return { x, q: matvec(w('attn_q'), h), k: matvec(w('attn_k'), h), v: matvec(w('attn_v'), h) };
});
const turned = (v: Float64Array, place: number, factor = FACTOR) =>
  rope(v, place, shape.headDim, 10_000, new Float64Array(shape.headDim / 2).fill(factor));

/** Log-probabilities behind a position, as StreamingLLM has them: keys turn by their places in the cache. */
function expectedAt(position: number, { factor = FACTOR, window = WINDOW, nSinks = 4 } = {}): Float64Array {
  const seen = visibleKeys(position, { window, nSinks });
  const { x, q } = known[ids[position]!]!;
  const attended = new Float64Array(64);
  for (let kvHead = 0; kvHead < shape.nKvHeads; kvHead++) {
    const keys = seen.map((key, place) => turned(head(known[ids[key]!]!.k, kvHead), place, factor));
    for (let i = 2 * kvHead; i < 2 * kvHead + 2; i++) {
      const query = turned(head(q, i), seen.length - 1, factor);
      const weights = softmax(keys.map((key) => key.reduce((sum, value, j) => sum + value * query[j]!, 0) / 4));
      for (const [place, key] of seen.entries())
        head(known[ids[key]!]!.v, kvHead).forEach((value, j) => {
          attended[i * shape.headDim + j]! += weights[place]! * value;
        });
    }
  }
  const y = add(x, matvec(w('attn_output'), attended));
  const out = add(y, swiglu(norm(y, 'blk.0.ffn_norm'), w('ffn_gate'), w('ffn_up'), w('ffn_down')));
  return logSoftmax(matvec(model.weights('output.weight'), norm(out, 'output_norm')));
}

/** The cache of the first positions, by where their blocks begin. */
function filled(): Map<number, Uint8Array> {
  const nBlocks = Math.ceil(N_FILLED / KV_BLOCK);
  const image = new KvImage('F32', shape, nBlocks);
  for (let position = 0; position < N_FILLED; position++) {
    const { k, v } = known[ids[position]!]!;
    for (let kvHead = 0; kvHead < shape.nKvHeads; kvHead++)
      image.put(
        Math.floor(position / KV_BLOCK),
        kvHead,
        position % KV_BLOCK,
        turned(head(k, kvHead), position),
        head(v, kvHead),
      );
  }
  const blockBytes = image.bytes.length / nBlocks;
  return new Map(
    Array.from({ length: nBlocks }, (_, i) => [
      i * KV_BLOCK,
      image.bytes.subarray(i * blockBytes, (i + 1) * blockBytes),
    ]),
  );
}

async function promptRows(conversation: Conversation, of: readonly number[]): Promise<Float64Array[]> {
  const rows: Float64Array[] = [];
  for await (const logits of conversation.logits(of, () => {})) rows.push(logSoftmax(logits));
  return rows;
}

const distance = (a: Float64Array, b: Float64Array) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

it('equals float64 at the end of a window of 32,768 and behind it, in a prompt and step by step', async () => {
  const device = await testDevice({});
  const plan = await planOf(bytes);
  const read = async (at: number, n: number) => bytes.subarray(at, at + n);
  const placed = await placeModel(device, plan, { read: (record) => packRecord(record, read) });
  const engine = new Engine(device, placed, context, systemClock);

  // What it is filled with is what it fills itself with.
  const saved = filled();
  const begun = engine.open();
  const first = await promptRows(begun, ids.slice(0, 64));
  for (const at of [0, 31, 63]) expect(distance(first[at]!, expectedAt(at)), `position ${at}`).toBeLessThan(NEAR);
  const floats = (block: Uint8Array) => new Float32Array(block.slice().buffer);
  for (const { position, block } of begun.seat.sequence.heldBlocks()) {
    const own = floats((await engine.kv.read([block]))[0]!);
    expect(distance(Float64Array.from(own), Float64Array.from(floats(saved.get(position)!)))).toBeLessThan(1e-4);
  }
  begun.close();

  const conversation = engine.restore(ids.slice(0, N_FILLED), N_FILLED, [...saved.keys()]);
  for (const { position, block } of conversation.seat.sequence.heldBlocks())
    engine.kv.write(block, saved.get(position)!);
  const rows = await promptRows(conversation, ids.slice(N_FILLED));
  const positions = [WINDOW - 1, WINDOW, WINDOW + 59];
  const expected = new Map(positions.map((at) => [at, expectedAt(at)]));
  for (const at of positions)
    expect(distance(rows[at - N_FILLED]!, expected.get(at)!), `position ${at}`).toBeLessThan(NEAR);

  // By steps, whose stretches of keys are spread over invocations.
  conversation.rewind(WINDOW - 1);
  for (const at of [WINDOW - 1, WINDOW]) {
    const row = { seat: conversation.seat, picking: GREEDY, u: 0, given: ids[at]! };
    await (await engine.steps.run([row])).results[0]!.wait();
    const logits = await readBuffer(device, engine.steps.s.logits.buffer, 0, plan.nVocab * 4);
    expect(distance(logSoftmax(new Float32Array(logits)), expected.get(at)!), `step ${at}`).toBeLessThan(NEAR);
  }

  // Controls: positions that are not scaled, or by a little less, and a stretch of keys fewer.
  const last = rows.at(-1)!;
  for (const other of [{ factor: 1 }, { factor: 7.9 }, { window: WINDOW - 128 }])
    expect(distance(last, expectedAt(WINDOW + 59, other)), JSON.stringify(other)).toBeGreaterThan(NEAR);
  conversation.close();
  await engine.destroy();
});
