/**
 * `pnpm sim:experts [TRACE…] [--json] [--tokens N] [--seed N] [--read-back-ms 0.5] [--upload-gbs 4] [--memory-gbs 100]`:
 * what each cache policy hits and moves, without a GPU. A TRACE is a file (`.trace`, or BigMoeOnEdge's `.csv`) or the
 * name of a recipe; without any, all recipes and the recorded traces there are. Exits with 1 where a check falls short.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { testData } from '@floe/testkit/data';
import {
  belady,
  decayedCounts,
  generateTrace,
  type LayerCosts,
  leastRunAhead,
  lfu,
  lruGlobal,
  lruPerLayer,
  readTrace,
  readTraceCsv,
  shareReused,
  simulate,
  TRACE_RECIPES,
  type Trace,
  type TraceRecipe,
} from '../packages/floe/src/experts/index.ts';
import { atLeast, type Check, type Row, round } from './report.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    tokens: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    'read-back-ms': { type: 'string', default: '0.5' },
    'upload-gbs': { type: 'string', default: '4' },
    'memory-gbs': { type: 'string', default: '100' },
  },
});

const SHARES = [1 / 16, 1 / 8, 1 / 4, 1 / 2];
/** A pool fills in as many; a trace that is not much longer is counted from its first token. */
const WARM_UP = 200;
const recipes: Readonly<Record<string, TraceRecipe>> = TRACE_RECIPES;

/** A row, and what the checks need of it unrounded. */
interface Measured {
  readonly trace: string;
  readonly share: number;
  readonly policy: string;
  readonly hitRate: number;
  readonly row: Row;
}

function openTrace(name: string): Trace {
  const recipe = recipes[name];
  if (recipe) return generateTrace(recipe, { nTokens: WARM_UP + Number(options.tokens), seed: Number(options.seed) });
  const bytes = readFileSync(name);
  return name.endsWith('.csv') ? readTraceCsv(bytes.toString()) : readTrace(bytes);
}

function everyTrace(): string[] {
  const kept = 'bench/traces';
  const files = existsSync(kept) ? readdirSync(kept).filter((file) => file.endsWith('.trace')) : [];
  const recorded = ['gptoss.csv', 'qwen.csv'].flatMap((file) => testData(file) ?? []);
  return [...Object.keys(recipes), ...files.map((file) => join(kept, file)), ...recorded];
}

/** Bytes of attention and dense feed-forward that a layer reads, at about 4.5 bits a weight. */
const DENSE_BYTES: readonly (readonly [model: RegExp, bytes: number])[] = [
  [/^arctic-(flat|mid|hot)/i, 153e6],
  [/^gpt-oss-120b/i, 23.3e6],
  [/^mixtral/i, 23.6e6],
  [/^qwen3/i, 12e6],
  [/^olmoe/i, 9.4e6],
];

/** Decoding reads each weight once, so a GPU's times are bytes by its memory's rate; the rest is as on integrated GPUs. */
function costsOf({ model, nExpertsUsed, slotBytes }: Trace): LayerCosts {
  const expertBytes = slotBytes.reduce((a, b) => a + b) / slotBytes.length;
  const memoryBytesPerMs = Number(options['memory-gbs']) * 1e6;
  return {
    denseMs: (DENSE_BYTES.find(([name]) => name.test(model))?.[1] ?? 0) / memoryBytesPerMs,
    expertsMs: (nExpertsUsed * expertBytes) / memoryBytesPerMs,
    routerMs: 0.03,
    skippedMs: 0.05,
    readBackMs: Number(options['read-back-ms']),
    submitMs: 0.05,
    uploadMs: expertBytes / (Number(options['upload-gbs']) * 1e6),
    // Read from staging and written to the slot.
    uploadQueueMs: (2 * expertBytes) / memoryBytesPerMs,
    routesFromInput: model.startsWith('arctic'),
  };
}

function measure(trace: Trace): Measured[] {
  const { model, nLayers, nExperts, nExpertsUsed, nTokens } = trace;
  const nWarmUpTokens = nTokens >= 4 * WARM_UP ? WARM_UP : 0;
  const costs = costsOf(trace);
  const times = [
    { costs, schedule: leastRunAhead(costs) },
    { costs, schedule: 'sync' as const },
  ];
  const repeats = `${percent(shareReused(trace, 1))}% repeat at the next token, ${percent(shareReused(trace, 8))}% within 8`;
  const from = nWarmUpTokens > 0 ? `after ${nWarmUpTokens}` : 'from a cold start';
  const bench = `${model}: ${nLayers} x ${nExperts} experts, top-${nExpertsUsed}; ${nTokens - nWarmUpTokens} tokens ${from}; ${repeats}`;
  return SHARES.flatMap((share) => {
    const nSlots = Math.max(nExpertsUsed + 1, Math.round(share * nLayers * nExperts));
    return [lruGlobal, lruPerLayer, lfu, decayedCounts, belady(trace)].map((policy) => {
      const result = simulate(trace, policy, { nSlots, nWarmUpTokens, times });
      const [stallMs, stallSyncMs] = result.stallMsPerToken;
      const row = {
        bench,
        name: `${100 * share}% ${result.policy}`,
        nSlots,
        hitPercent: percent(result.hitRate),
        missesPerToken: round(result.nMisses / result.nTokens),
        faultedLayers: round(result.faultedLayersPerToken),
        noFaultPercent: percent(result.nTokensWithoutFault / result.nTokens),
        MBPerToken: round(result.bytesPerToken / 1e6),
        stallMs: round(stallMs!),
        stallSyncMs: round(stallSyncMs!),
      };
      return { trace: model, share, policy: result.policy, hitRate: result.hitRate, row };
    });
  });
}

function percent(share: number): number {
  return Number((100 * share).toFixed(1));
}

/** Points by which `policy` is above `other`, for each share of each trace. */
function points(measured: readonly Measured[], policy: string, other: string): { trace: string; points: number }[] {
  return measured
    .filter((one) => one.policy === policy)
    .map(({ trace, share, hitRate }) => {
      const beside = measured.find((one) => one.policy === other && one.trace === trace && one.share === share)!;
      return { trace, points: 100 * (hitRate - beside.hitRate) };
    });
}

function checksOf(measured: readonly Measured[]): Check[] {
  const above = points(measured, 'decayed', 'lru-per-layer');
  const checks: Check[] = [];
  for (const trace of new Set(above.map((one) => one.trace))) {
    const least = Math.min(...above.filter((one) => one.trace === trace).map((one) => one.points));
    checks.push(atLeast(`decayed above lru-per-layer on its least row, points: ${trace}`, least, -0.5));
  }
  const mean = above.filter(({ trace }) => trace === 'arctic-mid' || /qwen/i.test(trace)).map((one) => one.points);
  if (mean.length > 0) {
    const value = mean.reduce((a, b) => a + b) / mean.length;
    checks.push(
      atLeast(`decayed above lru-per-layer on the mean of ${mean.length} rows, arctic-mid and Qwen, points`, value, 2),
    );
  }
  // The instrument: what knows the future is never below what does not.
  const bound = ['lru-global', 'lru-per-layer', 'lfu', 'decayed'].flatMap((policy) =>
    points(measured, 'belady', policy),
  );
  checks.push(atLeast('belady above any policy on its least row, points', Math.min(...bound.map((o) => o.points)), 0));
  return checks;
}

/** As report.ts prints, without an adapter: there is none here. */
function table(rows: readonly Row[]): void {
  const columns = Object.keys(rows[0]!).filter((column) => column !== 'bench');
  const lines = [columns, ...rows.map((row) => columns.map((column) => String(row[column])))];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  console.log(`\n${rows[0]!.bench}`);
  for (const line of lines) {
    console.log(line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '));
  }
}

const measured: Measured[] = [];
for (const name of positionals.length > 0 ? positionals : everyTrace()) {
  console.error(`… ${name}`);
  const ofTrace = measure(openTrace(name));
  measured.push(...ofTrace);
  if (!options.json) table(ofTrace.map(({ row }) => row));
}
const checks = checksOf(measured);
if (options.json) console.log(JSON.stringify({ rows: measured.map(({ row }) => row), checks }));
else {
  console.log('');
  for (const { name, value, bound, ok } of checks)
    console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}: ${value} (≥ ${bound})`);
}
process.exitCode = checks.every(({ ok }) => ok) ? 0 : 1;
