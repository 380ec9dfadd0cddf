/** Whole models: tokens per second, dispatches per token, and where a decode step's time goes. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { seeded } from '@floe/testkit/seeded';
import { Engine } from '../packages/floe/src/generate/index.ts';
import { readGguf } from '../packages/floe/src/gguf/index.ts';
import { type Device, whole } from '../packages/floe/src/gpu/index.ts';
import { systemClock } from '../packages/floe/src/host/index.ts';
import { argmax } from '../packages/floe/src/kernels/index.ts';
import { KvPool } from '../packages/floe/src/kv/index.ts';
import {
  contextPlan,
  kvWindow,
  makeActivations,
  makeStepActivations,
  placeModel,
  planModel,
  recordChunk,
  recordDecode,
  recordHead,
  recordSpan,
  ropeTablesOf,
  stepSizes,
  writePlaces,
} from '../packages/floe/src/model/index.ts';
import { packRecord } from '../packages/floe/src/store/index.ts';
import { jobsOf } from './graphs.ts';
import { type Row, round } from './report.ts';
import { least, NEVER, type Time, timeCopies, workerCpuMs } from './timing.ts';

const PROMPT_TOKENS = 128;
const DECODED_TOKENS = 64;
const CONTEXT = 256;
const ROUNDS = 2;
const COPIES = 20;

export async function benchModel(device: Device, path: string): Promise<Row[]> {
  const bytes = readFileSync(path);
  const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const plan = planModel(await readGguf({ sizeBytes: bytes.length, read }));
  const model = await placeModel(device, plan, { read: (record) => packRecord(record, read) });
  const name = basename(path, '.gguf');
  const rows = [await tokensPerSecond(device, model, name), ...(await decodeBreakdown(device, model, name))];
  device.throwIfFailed();
  return rows;
}

type PlacedModel = Awaited<ReturnType<typeof placeModel>>;

/** Prefill of a prompt and greedy decoding behind it, each token waited for as an answer does. */
async function tokensPerSecond(device: Device, model: PlacedModel, name: string): Promise<Row> {
  const engine = new Engine(device, model, CONTEXT, systemClock);
  const conversation = engine.open();
  await engine.warmUp();
  const random = seeded('bench');
  const ids = Array.from({ length: PROMPT_TOKENS }, () => random.int(0, model.plan.nVocab - 1));
  let [prefillMs, decodeMs, decodeCpuMs] = [
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ];
  let dispatches = 0;
  // Long chunks are compiled once enough was asked, beside the answers: the speed is that of a page open for a while.
  for (let i = 0; i < 5; i++) {
    conversation.rewind(0);
    await (await conversation.prefill(ids, { kind: 'greedy' }, 0, () => {})).wait();
  }
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  // The first round compiles the graph of the prompt's length and is not counted.
  for (let round = 0; round <= ROUNDS; round++) {
    conversation.rewind(0);
    const startMs = performance.now();
    await (await conversation.prefill(ids, { kind: 'greedy' }, 0, () => {})).wait();
    const prefilledMs = performance.now();
    const [before, startCpuMs] = [device.counts.dispatches, workerCpuMs()];
    for (let i = 0; i < DECODED_TOKENS; i++) await (await conversation.decode({ kind: 'greedy' }, 0)).wait();
    const doneMs = performance.now();
    dispatches = (device.counts.dispatches - before) / DECODED_TOKENS;
    if (round === 0) continue;
    decodeCpuMs = Math.min(decodeCpuMs, workerCpuMs() - startCpuMs);
    prefillMs = Math.min(prefillMs, prefilledMs - startMs);
    decodeMs = Math.min(decodeMs, doneMs - prefilledMs);
  }
  await engine.destroy();
  return {
    bench: 'models',
    name,
    family: device.family,
    prefillTokensPerS: round((PROMPT_TOKENS / prefillMs) * 1000),
    decodeTokensPerS: round((DECODED_TOKENS / decodeMs) * 1000),
    msPerToken: round(decodeMs / DECODED_TOKENS),
    cpuMsPerToken: round(decodeCpuMs / DECODED_TOKENS),
    dispatchesPerToken: dispatches,
  };
}

/** Each dispatch of a decode step alone, many times; summed by kernel and variant. */
async function decodeBreakdown(device: Device, model: PlacedModel, name: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const nTokens of [1, PROMPT_TOKENS]) rows.push(...(await breakdown(device, model, name, nTokens)));
  return rows;
}

async function breakdown(device: Device, model: PlacedModel, name: string, nTokens: number): Promise<Row[]> {
  const { plan } = model;
  const context = contextPlan(CONTEXT);
  const kv = new KvPool(device, plan.shape, context.kv, kvWindow(context, nTokens));
  const sizes = { ...stepSizes(plan, context), chunkTokens: nTokens, spanTokens: nTokens, logitRows: 1 };
  const step = nTokens === 1 ? makeStepActivations(device, plan, sizes.window) : null;
  const s = step ?? makeActivations(device, plan, sizes);
  // The middle of the decoding that is timed above.
  const first = nTokens === 1 ? PROMPT_TOKENS + DECODED_TOKENS / 2 : 0;
  const slots = Uint32Array.from({ length: nTokens }, (_, i) => first + i);
  const bytesOf = (values: Uint32Array | Float32Array) => new Uint8Array(values.buffer);
  device.write(s.tokens.buffer, 0, bytesOf(slots.map((slot) => slot + 300)));
  const tokens = Array.from(slots, (position) => ({ position, row: 0 }));
  writePlaces(device, s, ropeTablesOf(model, CONTEXT), CONTEXT, tokens);
  kv.writeTable(
    0,
    Uint32Array.from({ length: kv.geometry.tableBlocks }, (_, block) => block),
  );
  const sampled = device.buffers.storage('other', 'sampled', 256);
  const { graph, jobs } = await jobsOf(device, s.fault, (rec) => {
    if (step) recordDecode(rec, model, kv, step);
    else {
      recordChunk(rec, model, kv, s, nTokens);
      if (plan.shape.nExperts > 0) recordSpan(rec, model, s, nTokens);
      recordHead(rec, model, s, s.headIn, 1);
    }
    argmax(rec, {
      logits: s.logits,
      sampled: whole(sampled),
      tokens: s.tokens,
      nRows: 1,
      nVocab: plan.nVocab,
      stage: 0,
    });
  });
  const best: Time[] = jobs.map(() => NEVER);
  let inOrder = NEVER;
  const encodeAll = (pass: GPUComputePassEncoder) => {
    for (const job of jobs) job.encode(pass);
  };
  const copies = nTokens === 1 ? COPIES : 2;
  for (let round = 0; round < ROUNDS; round++) {
    inOrder = least(inOrder, await timeCopies(device, { name: 'step', encode: encodeAll }, copies));
    for (const [i, job] of jobs.entries()) best[i] = least(best[i]!, await timeCopies(device, job, copies));
  }
  const sum = best.reduce(plus, NONE);
  const groups = new Map<string, Time & { n: number }>();
  for (const [i, { variant }] of jobs.entries()) {
    const group = groups.get(variant) ?? { ...NONE, n: 0 };
    groups.set(variant, { ...plus(group, best[i]!), n: group.n + 1 });
  }
  const bench = `${name}, ${device.family}: ${nTokens === 1 ? 'a decode step' : `a prefill of ${nTokens}`} by kernel`;
  const row = (name: string, dispatches: number, time: Time): Row => ({
    bench,
    name,
    dispatches,
    ms: round(time.ms),
    cpuMs: round(time.cpuMs),
    // Processor time where the adapter is software: others' load does not count there.
    share: round(device.adapter.software ? time.cpuMs / sum.cpuMs : time.ms / sum.ms),
  });
  const cost = device.adapter.software ? 'cpuMs' : 'ms';
  const rows = [...groups]
    .sort((a, b) => b[1][cost] - a[1][cost])
    .map(([variant, group]) => row(variant, group.n, group));
  rows.push(row('all, each alone', jobs.length, sum), row('all, in order', jobs.length, inOrder));
  graph.destroy();
  s.destroy();
  kv.destroy();
  device.buffers.destroy(sampled);
  return rows;
}

const NONE: Time = { ms: 0, cpuMs: 0 };

function plus(a: Time, b: Time): Time {
  return { ms: a.ms + b.ms, cpuMs: a.cpuMs + b.cpuMs };
}
