/**
 * `node packages/devkit/run.mjs bench/firstToken.ts [--json] [--prompts N]`: bytes of a file that are fetched before the
 * first token, where experts come when they are routed to. Counted, not timed: by length of the prompt, for a model of
 * random weights (which routes nearly evenly: the worst case), for the same with routes of docs/routing.md, and for
 * arctic-mini on chats of its eval set.
 */
import { parseArgs } from 'node:util';
import { testData } from '@floe/testkit/data';
import { seeded } from '@floe/testkit/seeded';
import { generateTrace, TRACE_RECIPES } from '../packages/floe/src/experts/index.ts';
import { Engine } from '../packages/floe/src/generate/index.ts';
import { type Device, openDevice } from '../packages/floe/src/gpu/index.ts';
import { systemClock } from '../packages/floe/src/host/index.ts';
import { isExpertRecord, placeModel } from '../packages/floe/src/model/index.ts';
import type { RecordPlan } from '../packages/floe/src/store/index.ts';
import { nodeGpu } from './nodeGpu.ts';
import { arcticShaped, CONTEXT, type ModelFile, modelAt, unplace } from './pagingModel.ts';
import { chatIds } from './pagingRecord.ts';
import { type Row, table } from './report.ts';

const LENGTHS = [4, 8, 16, 32, 64, 128] as const;
const LONGEST = LENGTHS.at(-1)!;

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, prompts: { type: 'string', default: '4' } },
});
const nPrompts = Number(options.prompts);

// Kept to the end: the devices of a collected instance stop working.
const gpu = await nodeGpu();
const device = await openDevice(gpu);
const shaped = await arcticShaped();
const random = seeded('first token');
const prompts = Array.from({ length: nPrompts }, () =>
  Array.from({ length: LONGEST }, () => random.int(0, shaped.plan.nVocab - 1)),
);
const rows = [await measured(device, shaped, 'random weights', prompts), ...replayed(shaped)];
const path = testData('arctic-mini-sql-q4_0.gguf');
if (path) {
  const mini = await modelAt('arctic-mini', path);
  const chats = (await chatIds(mini, 200)).map(({ ids }) => ids).filter(({ length }) => length >= LONGEST);
  rows.push(await measured(device, mini, 'its own routing, chats of its eval set', chats.slice(0, nPrompts)));
}
if (options.json) console.log(JSON.stringify(rows));
else table(rows);
// Dawn keeps the process alive while its device's callbacks are pending.
process.stdout.write('', () => process.exit(gpu ? 0 : 1));

/** What a load and the prompts' first tokens fetch, in the mean. */
async function measured(device: Device, file: ModelFile, name: string, prompts: readonly (readonly number[])[]) {
  const fetched: Record<string, number> = {};
  for (const length of LENGTHS) {
    let sum = 0;
    for (const ids of prompts) sum += await fetchedBy(device, file, ids.slice(0, length));
    fetched[length] = sum / prompts.length;
  }
  return rowOf(file, name, fetched);
}

/** Bytes of the file that are read by a load without experts and the first token of one prompt. */
async function fetchedBy(device: Device, file: ModelFile, ids: readonly number[]): Promise<number> {
  let fetchedBytes = file.gguf.headerBytes;
  const placed = await placeModel(device, file.plan, {
    read: (record) => {
      fetchedBytes += fileBytes(record);
      return file.records.read(record);
    },
    isNear: (record) => !isExpertRecord(record),
  });
  const engine = new Engine(device, placed, CONTEXT, systemClock);
  const conversation = engine.open();
  await (await conversation.prefill(ids, { kind: 'greedy' }, 0, () => {})).wait();
  await engine.destroy();
  unplace(device, placed);
  return fetchedBytes;
}

/** The same model, were it routed as the recipes route. */
function replayed(file: ModelFile): Row[] {
  const { nExperts, nExpertsUsed, nRoutedLayers } = file.plan.shape;
  const dense = file.plan.records.filter((record) => !isExpertRecord(record));
  const denseBytes = file.gguf.headerBytes + dense.reduce((sum, record) => sum + fileBytes(record), 0);
  const expert = file.plan.records.find(isExpertRecord)!;
  const shape = { nLayers: nRoutedLayers, nExperts, nExpertsUsed, slotBytes: file.expertBytes };
  return (['flat', 'mid', 'hot'] as const).map((name) => {
    const { ids } = generateTrace({ ...TRACE_RECIPES[`arctic-${name}`], ...shape }, { nTokens: LONGEST, seed: 1 });
    const perToken = nRoutedLayers * nExpertsUsed;
    const fetched = LENGTHS.map((length): [number, number] => {
      const routed = ids.subarray(0, length * perToken);
      const keys = new Set(Array.from(routed, (id, i) => Math.floor((i % perToken) / nExpertsUsed) * nExperts + id));
      return [length, denseBytes + keys.size * fileBytes(expert)];
    });
    return rowOf(file, `routed as docs/routing.md’s ${name}`, Object.fromEntries(fetched));
  });
}

/** What a record takes in the file: the ranges its parts are fetched by. */
function fileBytes({ matrices }: RecordPlan): number {
  return matrices.reduce((sum, { sources }) => sum + sources.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0), 0);
}

/** By length of the prompt: MB, and % of the file. */
function rowOf(file: ModelFile, name: string, fetched: Readonly<Record<string, number>>): Row {
  const columns = Object.entries(fetched).map(([length, bytes]) => [
    `${length} tokens`,
    `${(bytes / 1e6).toFixed(1)} MB ${((100 * bytes) / file.gguf.sizeBytes).toFixed(0)}%`,
  ]);
  return {
    bench: 'bytes before the first token, by length of the prompt',
    name: `${file.name} (${(file.gguf.sizeBytes / 1e6).toFixed(1)} MB), ${name}`,
    ...Object.fromEntries(columns),
  };
}
