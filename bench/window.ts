/**
 * `pnpm bench:window [--model NAME] [--chats N] [--window N] [--soak TOKENS] [--json]`: what a sliding window costs in
 * perplexity, with sinks, without, and recomputed; with --soak, what it costs in time and memory over a long answer.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { testData } from '@floe/testkit/data';
import { randomModel } from '@floe/testkit/randomModel';
import { Engine } from '../packages/floe/src/generate/index.ts';
import { readGguf } from '../packages/floe/src/gguf/index.ts';
import { openDevice } from '../packages/floe/src/gpu/index.ts';
import { systemClock } from '../packages/floe/src/host/index.ts';
import { type ContextPlan, placeModel, planModel } from '../packages/floe/src/model/index.ts';
import { packRecord } from '../packages/floe/src/store/index.ts';
import { createTokenizer, vocabularyFromMetadata } from '../packages/floe/src/text/index.ts';
import { readSet } from './evaluate.ts';
import { nodeGpu } from './nodeGpu.ts';
import { type Check, print, type Row, round } from './report.ts';
import { soak } from './windowSoak.ts';
import { type Loss, perplexityOf, recomputed, streamOf } from './windowStream.ts';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'arctic-tiny-sql-q8_0.gguf' },
    set: { type: 'string', default: 'eval.jsonl' },
    chats: { type: 'string', default: '20' },
    window: { type: 'string', default: '256' },
    soak: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

const gpu = await nodeGpu();

/** An engine for the bytes of a file, on a device of its own. */
async function open(bytes: Uint8Array, context: ContextPlan) {
  const device = await openDevice(gpu);
  const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const gguf = await readGguf({ sizeBytes: bytes.length, read });
  const placed = await placeModel(device, planModel(gguf), { read: (record) => packRecord(record, read) });
  return { device, gguf, engine: new Engine(device, placed, context, systemClock) };
}

const rows: Row[] = [];
const checks: Check[] = [];
const window = Number(options.window);
const slides = { window, overflow: 'slide', kv: 'F32' } as const;

if (options.soak) {
  const small = { nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, ffDim: 160, nVocab: 320 } as const;
  const bytes = randomModel({ ...small, architecture: 'llama', type: 'F32', seed: 2 });
  const { device, engine } = await open(bytes, { window: 64, nSinks: 4, overflow: 'slide', kv: 'F16' });
  const found = await soak(device, engine, Number(options.soak));
  rows.push(...found.rows);
  checks.push(...found.checks);
} else {
  const bytes = readFileSync(testData(options.model)!);
  const chats = readSet(readFileSync(testData(options.set)!, 'utf8')).slice(0, Number(options.chats));
  const losses: Record<string, Loss> = {};
  for (const nSinks of [4, 0]) {
    const { device, gguf, engine } = await open(bytes, { ...slides, nSinks });
    const stream = streamOf(createTokenizer(vocabularyFromMetadata(gguf.metadata)), chats);
    losses[`sinks ${nSinks}`] = await perplexityOf(engine.open(), stream);
    if (nSinks === 0) losses.recomputed = await recomputed(engine, stream, window);
    await engine.destroy();
    device.destroy();
  }
  for (const [name, { ppl, nTokens, nAnswerTokens, pplFull, ms }] of Object.entries(losses))
    rows.push({
      bench: `perplexity of the answers over ${chats.length} chats, one stream, window ${window}`,
      name,
      ppl: round(ppl),
      pplFull: round(pplFull),
      nTokens,
      nAnswerTokens,
      seconds: round(ms / 1000),
    });
  const excess = losses['sinks 4']!.pplFull / losses.recomputed!.pplFull - 1;
  checks.push({ name: 'sinks 4 over recomputed, excess', value: round(excess), bound: 0.03, ok: excess <= 0.03 });
}

const ceilings = { readGBs: 0, gflops: 0, dispatchUs: 0, readBackMs: 0 };
if (options.json) console.log(JSON.stringify({ rows, checks }));
else print({ adapter: 'see `pnpm bench`', ceilings, rows, checks });
process.stdout.write('', () => process.exit(0));
