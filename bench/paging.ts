/**
 * `pnpm bench:paging [--json] [--quick] [--runs N] [--tokens N] [--share N]… [--routing NAME]… [--declared-ms N]
 * [--record [--items N]]`: decoding with experts that do not fit: each schedule beside what the closed form says of it.
 * Exits with 1 where a check falls short. `--record` only writes bench/traces/arctic-mini.trace.
 */
import { parseArgs } from 'node:util';
import { testData } from '@floe/testkit/data';
import { generateTrace, TRACE_RECIPES } from '../packages/floe/src/experts/index.ts';
import { openDevice } from '../packages/floe/src/gpu/index.ts';
import { measureCeilings } from './ceilings.ts';
import { nodeGpu } from './nodeGpu.ts';
import { checksOf } from './pagingChecks.ts';
import { identity } from './pagingIdentity.ts';
import { declareLatency } from './pagingLatency.ts';
import { arcticShaped, type ModelFile, mixtralShaped, modelAt } from './pagingModel.ts';
import { chatIds, record } from './pagingRecord.ts';
import { pagedPath } from './pagingResident.ts';
import { type MeasuredVariant, measureRows, type RowCase, tracedTokens } from './pagingRows.ts';
import { print } from './report.ts';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    runs: { type: 'string', default: '7' },
    tokens: { type: 'string', default: '12' },
    share: { type: 'string', multiple: true, default: ['12.5', '25', '50'] },
    routing: { type: 'string', multiple: true, default: ['flat', 'mid', 'hot', 'own'] },
    'declared-ms': { type: 'string' },
    record: { type: 'boolean', default: false },
    items: { type: 'string', default: '100' },
  },
});

const MINI = 'arctic-mini-sql-q4_0.gguf';
const [nRuns, nTokens] = options.quick ? [1, 4] : [Number(options.runs), Number(options.tokens)];
/** The way to the host is to be so many layers long; and not less than so many milliseconds. */
const [LEAST_LAYERS, LEAST_DECLARED_MS] = [4.4, 5];

/** Says what goes on, beside the result. */
const say = (what: string) => console.error(`… ${what} (${Math.round(performance.now() / 1000)} s)`);

// Kept to the end: the devices of a collected instance stop working.
const gpu = await nodeGpu();
const device = await openDevice(gpu);
const latency = declareLatency(device.gpu);
const miniPath = testData(MINI);
const mini = miniPath ? await modelAt('arctic-mini', miniPath) : null;

if (options.record) {
  if (!mini) throw new Error(`${MINI} is not at hand`);
  say(await record(device, mini, 'bench/traces/arctic-mini.trace', Number(options.items)));
} else {
  await bench();
}
// Dawn keeps the process alive while its device's callbacks are pending.
process.stdout.write('', () => process.exit(gpu ? process.exitCode : 1));

async function bench(): Promise<void> {
  say('ceilings');
  const ceilings = await measureCeilings(device);
  const shaped = await arcticShaped();
  const files = mini ? [shaped, mini] : [shaped];
  say('identity');
  const identities = [];
  for (const file of [...files, await mixtralShaped()]) identities.push(...(await identity(device, file)));
  say('all resident, by the paged path');
  const resident = [];
  for (const file of files) resident.push(await pagedPath(device, file, nRuns, nTokens));
  const measured: MeasuredVariant[] = [];
  // Each with the adapter's own way to the host, then with one as long as the check asks for.
  for (const isDeclared of [false, true]) {
    for (const one of await cases(shaped)) {
      const declaredMs = isDeclared ? declaredFor(measured, one.file) : 0;
      say(`${one.file.name} ${one.routingName} ${100 * one.share}%, declared ${declaredMs} ms`);
      measured.push(...(await measureRows(device, latency, { ...one, declaredMs })));
    }
  }
  const checks = checksOf(identities, resident, measured);
  const rows = [
    ...identities.map(({ row }) => row),
    ...resident.map(({ row }) => row),
    ...measured.map(({ row }) => row),
  ];
  const report = { adapter: device.adapter.description, ceilings: ceilings.shown, rows, checks };
  if (options.json) console.log(JSON.stringify(report));
  else print(report);
  process.exitCode = checks.every(({ ok }) => ok) ? 0 : 1;
}

async function cases(shaped: ModelFile): Promise<Omit<RowCase, 'declaredMs'>[]> {
  const all: Omit<RowCase, 'declaredMs'>[] = [];
  for (const percent of options.share) {
    const share = Number(percent) / 100;
    for (const name of ['flat', 'mid', 'hot'] as const) {
      if (!options.routing.includes(name)) continue;
      const { nLayers, nExperts, nExpertsUsed } = shaped.plan.shape;
      const shape = { nLayers, nExperts, nExpertsUsed, slotBytes: shaped.expertBytes };
      const recipe = { ...TRACE_RECIPES[`arctic-${name}`], ...shape };
      const trace = generateTrace(recipe, { nTokens: tracedTokens(nRuns), seed: 1 });
      all.push({ file: shaped, routing: { trace }, routingName: `replayed ${name}`, share, nRuns, nTokens });
    }
    if (!mini || !options.routing.includes('own')) continue;
    const ids = (await chatIds(mini, 40)).flatMap((chat) => chat.ids);
    all.push({ file: mini, routing: { ids }, routingName: 'its own routing', share, nRuns, nTokens });
  }
  return all;
}

/** Some four of the longest layers measured, in whole milliseconds. */
function declaredFor(measured: readonly MeasuredVariant[], file: ModelFile): number {
  if (options['declared-ms'] !== undefined) return Number(options['declared-ms']);
  const layers = measured.filter(({ row }) => row.bench.includes(file.name)).map(({ costs }) => costs);
  const longest = Math.max(0, ...layers.map(({ denseMs, expertsMs, routerMs }) => denseMs + expertsMs + routerMs));
  return Math.max(LEAST_DECLARED_MS, Math.ceil(LEAST_LAYERS * longest));
}
