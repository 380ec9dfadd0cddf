/**
 * `pnpm bench:conversations [--model FILE] [--rows N] [--rounds N] [--json]`: conversations that decode at once, beside
 * what the kernels allow: how long a step of several rows takes by itself, and how long one of one row.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { testData } from '@floe/testkit/data';
import { seeded } from '@floe/testkit/seeded';
import { type Conversation, Engine } from '../packages/floe/src/generate/index.ts';
import { readGguf } from '../packages/floe/src/gguf/index.ts';
import { openDevice } from '../packages/floe/src/gpu/index.ts';
import { systemClock } from '../packages/floe/src/host/index.ts';
import { placeModel, planModel } from '../packages/floe/src/model/index.ts';
import { packRecord } from '../packages/floe/src/store/index.ts';
import { nodeGpu } from './nodeGpu.ts';
import { atLeast, print, type Row, round } from './report.ts';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'arctic-mini-sql-q4_0.gguf' },
    rows: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '7' },
    json: { type: 'boolean', default: false },
  },
});

const [PROMPT_TOKENS, DECODED_TOKENS, WINDOW] = [24, 32, 256];
/** Of what several rows could save, so much is to be had. */
const SHARE = 0.85;
const greedy = { kind: 'greedy' } as const;
const [nRows, nRounds] = [Number(options.rows), Number(options.rounds)];

// Kept to the end: the devices of a collected instance stop working.
const gpu = await nodeGpu();
const device = await openDevice(gpu);
const bytes = readFileSync(testData(options.model) ?? options.model);
const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
const plan = planModel(await readGguf({ sizeBytes: bytes.length, read }));
const model = await placeModel(device, plan, { read: (record) => packRecord(record, read) });
const window = Math.min(WINDOW, plan.shape.nCtxTrain);
const engine = new Engine(
  device,
  model,
  { window, nSinks: 4, overflow: 'slide', kv: 'F32', nWindows: nRows },
  systemClock,
);
const random = seeded('conversations');
const all: Conversation[] = [];
for (let i = 0; i < nRows; i++) {
  const prompt = Array.from({ length: PROMPT_TOKENS + i }, () => random.int(0, plan.nVocab - 1));
  const conversation = engine.open();
  await (await conversation.prefill(prompt, greedy, 0, () => {})).wait();
  all.push(conversation);
}

/** Milliseconds of a step of these rows, the host waiting for none but the last. */
async function kernelsMs(rows: readonly Conversation[]): Promise<number> {
  const startMs = performance.now();
  let last: Promise<unknown> = Promise.resolve();
  for (let i = 0; i < DECODED_TOKENS; i++) {
    const { results } = await engine.steps.run(rows.map(({ seat }) => ({ seat, picking: greedy, u: 0 })));
    last = results[0]!.wait();
  }
  await last;
  return (performance.now() - startMs) / DECODED_TOKENS;
}

/** Milliseconds of a token of each of these conversations, which decode as answers do. */
async function answersMs(rows: readonly Conversation[]): Promise<number> {
  const startMs = performance.now();
  await Promise.all(rows.map(decode));
  return (performance.now() - startMs) / DECODED_TOKENS;
}

async function decode(conversation: Conversation): Promise<void> {
  const leave = conversation.enter();
  let pending = await conversation.decode(greedy, 0);
  for (let i = 1; i < DECODED_TOKENS; i++) {
    const ahead = await conversation.decode(greedy, 0);
    await pending.wait();
    pending = ahead;
  }
  await pending.wait();
  leave();
}

const cases = {
  'kernels, 1 row': () => kernelsMs(all.slice(0, 1)),
  [`kernels, ${nRows} rows`]: () => kernelsMs(all),
  'answers, 1 conversation': () => answersMs(all.slice(0, 1)),
  [`answers, ${nRows} conversations`]: () => answersMs(all),
};
const times = new Map<string, number[]>(Object.keys(cases).map((name) => [name, []]));
// Round 0 compiles and is not counted.
for (let i = 0; i <= nRounds; i++) {
  for (const [name, run] of Object.entries(cases)) {
    const ms = await run();
    if (i > 0) times.get(name)!.push(ms);
  }
}
device.throwIfFailed();
const median = (name: string) => [...times.get(name)!].sort((a, b) => a - b)[nRounds >> 1]!;
const rows: Row[] = [...times.keys()].map((name) => ({
  bench: `decoding at once, ${options.model}`,
  name,
  msPerStep: round(median(name)),
  tokensPerS: round(((name.includes(' 1 ') ? 1 : nRows) * 1000) / median(name)),
}));
const gain = (kind: string, noun: string) =>
  (nRows * median(`${kind}, 1 ${noun}`)) / median(`${kind}, ${nRows} ${noun}s`);
const [allowed, found] = [gain('kernels', 'row'), gain('answers', 'conversation')];
const checks = [
  atLeast(`times one conversation's tokens, of ${round(allowed)} the kernels allow`, found, SHARE * allowed),
];
const ceilings = { readGBs: 0, gflops: 0, dispatchUs: 0, readBackMs: 0 };
if (options.json) console.log(JSON.stringify({ rows, checks }));
else print({ adapter: device.adapter.description, ceilings, rows, checks });
process.stdout.write('', () => process.exit(gpu && checks.every(({ ok }) => ok) ? 0 : 1));
