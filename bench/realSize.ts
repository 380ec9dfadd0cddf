/**
 * `node packages/devkit/run.mjs bench/realSize.ts [--layers N] [--gpu 1GiB] [--small-gpu 512MiB] [--memory 1GiB]
 * [--tokens N] [--experts N] [--no-reference] [--json]`: a slice of Arctic at its true size (7168 wide, 128 experts of
 * 58.8 MB a layer), served from nowhere and run in Chromium within two GPU budgets. With the defaults some 2 GB come over
 * the network of this machine and lie in a temporary folder until it ends.
 */
import { parseArgs } from 'node:util';
import { type VirtualModel, virtualModel } from '@floe/testkit/virtualModel';
import { startVirtualServer } from '@floe/testkit/virtualServer';
import { checksOf } from './realSizeChecks.ts';
import { openPage } from './realSizePage.ts';
import { referenceLogits } from './realSizeReference.ts';
import { type Visit, visit } from './realSizeVisit.ts';
import { type Row, round } from './report.ts';

const { values: options } = parseArgs({
  options: {
    layers: { type: 'string', default: '1' },
    gpu: { type: 'string', default: '1GiB' },
    /** Default: room for two experts more than a token uses. */
    'small-gpu': { type: 'string' },
    memory: { type: 'string', default: '1GiB' },
    tokens: { type: 'string', default: '4' },
    /** Fewer than 128: a smaller file of the same widths. */
    experts: { type: 'string', default: '128' },
    'no-reference': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

/** Activations, cache, staging and upload of a context of 256: what the small budget leaves for all but weights. */
const WORKING_BYTES = 96 * 2 ** 20;

const model = virtualModel({ nLayers: whole('layers'), shape: { nExperts: whole('experts') } });
const memoryBytes = bytesOf(options.memory);
const budgets = [bytesOf(options.gpu), options['small-gpu'] ? bytesOf(options['small-gpu']) : smallBudget(model)];
const nTokens = whole('tokens');
const say = (what: string) => console.error(`… ${what}`);

const startMs = performance.now();
const server = await startVirtualServer(model);
const opened = await openPage();
const visits: Visit[] = [];
try {
  for (const gpuBytes of budgets) {
    say(`${model.nLayers} layers, ${mb(model.sizeBytes)} MB; GPU ${mb(gpuBytes)} MB, memory ${mb(memoryBytes)} MB`);
    visits.push(await visit(opened, server, { gpuBytes, memoryBytes }, nTokens, say));
  }
} finally {
  await opened.close();
  await server[Symbol.asyncDispose]();
}
const totalMs = performance.now() - startMs;

const [{ promptIds }] = visits[0]!.answers as [Visit['answers'][0]];
if (!options['no-reference']) say(`float64, ${promptIds.length} ids`);
const reference = options['no-reference'] ? null : referenceLogits(model, promptIds);
const checks = checksOf(model, visits, reference);
const rows = visits.map(row);
if (options.json) {
  console.log(JSON.stringify({ sizeBytes: model.sizeBytes, totalMs: Math.round(totalMs), rows, checks }));
} else {
  for (const { bench: _, name, ...columns } of rows) console.table({ [name]: columns });
  for (const { name, value, relation, bound, ok } of checks) {
    console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}: ${value} (${relation} ${bound})`);
  }
  console.log(`${round(totalMs / 1000)} s in Chromium`);
}
process.exitCode = checks.every(({ ok }) => ok) ? 0 : 1;

function row(visited: Visit): Row {
  const { budget, answers, heapPeak, heapSettled } = visited;
  const [first] = answers as [Visit['answers'][0]];
  const nDecoded = answers.reduce((sum, { ids }) => sum + ids.length - 1, 0);
  return {
    bench: 'a slice of Arctic at its true size',
    name: `GPU ${mb(budget.gpuBytes)} MB, memory ${mb(budget.memoryBytes)} MB`,
    loadMs: Math.round(visited.loadMs),
    loadMB: mb(visited.loadBytes),
    firstTokenMs: Math.round(first.prefillMs),
    decodeMsPerToken: Math.round(answers.reduce((sum, { decodeMs }) => sum + decodeMs, 0) / nDecoded),
    fetchedMB: mb(visited.fetchedBytes),
    gpuMB: mb(visited.gpuBytes),
    heapPeakMB: mb(heapPeak.usedBytes + heapPeak.backingBytes),
    heapSettledMB: heapSettled ? mb(heapSettled.usedBytes + heapSettled.backingBytes) : Number.NaN,
    heapSamples: heapPeak.nSamples,
  };
}

function smallBudget({ sizeBytes, nLayers, shape, expertBytes }: VirtualModel): number {
  const denseBytes = sizeBytes - nLayers * shape.nExperts * expertBytes;
  return denseBytes + (shape.nExpertsUsed + 2) * expertBytes + WORKING_BYTES;
}

function whole(name: 'layers' | 'tokens' | 'experts'): number {
  const value = Number(options[name]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} is a whole number, not ${options[name]}`);
  return value;
}

/** '1GiB', '512MiB', '2GB', '300MB', or a number of bytes. */
function bytesOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(GiB|MiB|GB|MB|)$/.exec(text);
  if (!match) throw new Error(`${text} is no size; 1GiB, 512MiB, 2GB and 300MB are`);
  const unit = { GiB: 2 ** 30, MiB: 2 ** 20, GB: 1e9, MB: 1e6, '': 1 }[match[2] as 'GiB' | 'MiB' | 'GB' | 'MB' | ''];
  return Math.floor(Number(match[1]) * unit);
}

function mb(bytes: number): number {
  return Math.round(bytes / 1e6);
}
