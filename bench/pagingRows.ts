/** Schedules beside each other on one model, one routing and one share, and beside what the closed form says of them. */
import {
  type ExpertCache,
  type ExpertCounts,
  lruPerLayer,
  stallMs,
  type Trace,
} from '../packages/floe/src/experts/index.ts';
import { FARTHEST_GUESS } from '../packages/floe/src/generate/lookahead.ts';
import type { Device } from '../packages/floe/src/gpu/index.ts';
import { CostMeter, mean, median, N_PARTS, type StepCosts } from './pagingCosts.ts';
import type { DeclaredLatency } from './pagingLatency.ts';
import { liveThrough, type ModelFile, place, type Share, unplace } from './pagingModel.ts';
import { Replay } from './pagingReplay.ts';
import { Stepper } from './pagingStepper.ts';
import { type Row, round } from './report.ts';

export interface RowCase {
  readonly file: ModelFile;
  /** What the tokens are routed by: a trace, or the model itself, which reads these ids. */
  readonly routing: { readonly trace: Trace } | { readonly ids: readonly number[] };
  readonly routingName: string;
  readonly share: number;
  readonly declaredMs: number;
  readonly nRuns: number;
  readonly nTokens: number;
}

/** What the checks go by, unrounded. */
export interface MeasuredVariant {
  readonly variant: VariantName;
  readonly routing: string;
  readonly share: number;
  readonly declaredMs: number;
  /** Of one token, by run. Those of the same number ran one after the other. */
  readonly runsMs: readonly number[];
  /** What the closed form says a token takes, with each run's costs and misses; and that by what the run took: the middles. */
  readonly predictedMs: number;
  readonly byPrediction: number;
  readonly blockingWaits: number;
  readonly faultedLayers: number;
  readonly runAhead: number;
  readonly costs: StepCosts;
  readonly row: Row;
}

export type VariantName = 'all-resident' | 'A' | 'B' | 'C' | 'CP';

/** Tokens a cache lives through before the first that is timed: by a trace without the GPU's work, else decoded. */
const WARM_TRACE = 200;
const WARM_TEXT = 64;
/** Of a trace, from the first token of a run to the first of the next: what is timed is from all over it. */
export const TRACE_STRIDE = 100;
/** Tokens of a trace that so many runs reach. */
export const tracedTokens = (nRuns: number) => WARM_TRACE + (nRuns + 1) * TRACE_STRIDE;
/** How often a replayed guess is right: what the next layer's router on today's residual stream gives in published models, */
const RECALL = 0.74;
/** and some layers later, of which little is published. */
const RECALL_FARTHER = 0.56;
/** How often a run measures each cost where nothing is declared: L is the small difference of two long times there. */
const OWN_SWEEPS = 3;

interface Variant {
  readonly name: VariantName;
  readonly stepper: Stepper;
  readonly share: Share;
  readonly runs: Run[];
}

/** One run of one variant. */
interface Run {
  readonly ms: number;
  readonly predictedMs: number;
  readonly runAhead: number;
  readonly costs: StepCosts;
  /** Of the run, per token. */
  readonly counts: Readonly<
    Record<
      'hits' | 'misses' | 'faultedLayers' | 'loads' | 'useful' | 'foreseen' | 'foreseeable' | 'stallMs' | 'waits',
      number
    >
  >;
}

/**
 * Runs the variants token by token in turns, with a part of the costs measured behind each, so that all meet a machine that
 * others share as it is at that moment. Run 0 is not counted.
 */
export async function measureRows(device: Device, latency: DeclaredLatency, one: RowCase): Promise<MeasuredVariant[]> {
  const { file, routing, nRuns, declaredMs } = one;
  const trace = 'trace' in routing ? routing.trace : null;
  const replay = trace ? new Replay(device, trace, declaredMs > 0 ? RECALL_FARTHER : RECALL) : undefined;
  latency.ms = 0;
  const uploads = await place(device, file, { share: 1 / 16 });
  const variants = await makeVariants(device, one, replay);
  latency.ms = declaredMs;
  for (const { stepper } of variants) await stepper.calibrate();
  const complete = await makeComplete(device, variants, replay, one);
  const meters = {
    plain: new CostMeter(device, uploads.experts!, complete.plain),
    guessing: new CostMeter(device, uploads.experts!, complete.guessing),
  };
  for (let run = 0; run <= nRuns; run++) await runAll(variants, meters, one, run);
  device.throwIfFailed();
  latency.ms = 0;
  for (const meter of Object.values(meters)) meter.destroy();
  replay?.destroy();
  for (const stepper of Object.values(complete)) await stepper.destroy();
  for (const { stepper } of variants) {
    await stepper.destroy();
    unplace(device, stepper.model);
  }
  unplace(device, uploads);
  return variants.map((variant) => summary(variant, one));
}

type Meters = Readonly<Record<'plain' | 'guessing', CostMeter>>;

async function runAll(variants: readonly Variant[], meters: Meters, one: RowCase, run: number): Promise<void> {
  const { routing, nTokens, declaredMs } = one;
  const nParts = N_PARTS * (declaredMs > 0 ? 1 : OWN_SWEEPS);
  const tallies = variants.map((variant) => new Tally(variant, one));
  for (let token = 0; token < nTokens; token++) {
    // Each follows each other as often as not.
    for (const tally of token % 2 === 0 ? tallies : tallies.toReversed()) await tally.step(run, token);
    for (let done = token * nParts; done < (token + 1) * nParts; done += nTokens) {
      for (const meter of Object.values(meters)) await meter.sample();
    }
  }
  const costs = { plain: meters.plain.take(), guessing: meters.guessing.take() };
  for (const tally of tallies) {
    const { variant } = tally;
    const result = tally.end(variant.name === 'CP' ? costs.guessing : costs.plain);
    if (run > 0) variant.runs.push(result);
    if (variant.name === 'C') meters.plain.nUploads = result.counts.loads;
    if (variant.name === 'CP') meters.guessing.nUploads = result.counts.loads;
    const next = WARM_TRACE + run * TRACE_STRIDE + nTokens;
    if ('trace' in routing)
      await liveThrough(variant.stepper.model, routing.trace, next, WARM_TRACE + (run + 1) * TRACE_STRIDE);
  }
}

async function makeVariants(
  device: Device,
  { file, routing, share, declaredMs }: RowCase,
  replay: Replay | undefined,
): Promise<Variant[]> {
  const all = file.plan.shape.nLayers;
  const guessAhead = guessedAhead(all, declaredMs);
  const choices = [
    { name: 'all-resident', share: 1, options: {} },
    { name: 'A', share, policy: lruPerLayer, options: { schedule: { runAhead: 0, group: 1, overlap: false } } },
    { name: 'B', share, options: { schedule: { runAhead: all, group: all } } },
    { name: 'C', share, options: {} },
    { name: 'CP', share, options: { guessAhead, schedule: declaredMs > 0 ? { runAhead: guessAhead - 1 } : {} } },
  ] as const;
  const variants: Variant[] = [];
  for (const { name, share, options, ...rest } of choices) {
    const model = await place(device, file, { share, ...rest });
    const stepper = await Stepper.make(device, model, { ...options, replay });
    if ('trace' in routing) await liveThrough(model, routing.trace, 0, WARM_TRACE);
    else for (const id of routing.ids.slice(0, WARM_TEXT)) await stepper.step('paged', { id });
    variants.push({ name, stepper, share, runs: [] });
  }
  return variants;
}

/** A guess must be for a layer that is not queued yet; where the way to the host is long, fewer layers are queued for it. */
function guessedAhead(nLayers: number, declaredMs: number): number {
  return declaredMs > 0 ? Math.min(FARTHEST_GUESS, nLayers - 1) : 1;
}

/** Steps that miss nothing and are nobody's conversation, to take their parts' times: with guesses and without. */
async function makeComplete(
  device: Device,
  variants: readonly Variant[],
  replay: Replay | undefined,
  { nRuns, nTokens, declaredMs }: RowCase,
): Promise<{ plain: Stepper; guessing: Stepper }> {
  const { model } = variants.find(({ name }) => name === 'all-resident')!.stepper;
  const guessAhead = guessedAhead(model.plan.shape.nLayers, declaredMs);
  const plain = await Stepper.make(device, model, { replay });
  const guessing = await Stepper.make(device, model, { replay, guessAhead });
  for (const stepper of [plain, guessing]) {
    // As many keys as the tokens in the middle of what is timed see.
    stepper.position = Math.floor((nRuns * nTokens) / 2);
    await stepper.step('whole', replay ? { token: 0 } : {});
  }
  return { plain, guessing };
}

/** What one run of one variant adds up to. */
class Tally {
  private ms = 0;
  private readonly misses: number[][] = [];
  private readonly before: ExpertCounts;
  private readonly cache: ExpertCache;
  private readonly runAhead: number;

  constructor(
    readonly variant: Variant,
    private readonly one: RowCase,
  ) {
    const { stepper, name } = variant;
    this.cache = stepper.model.experts!;
    this.before = { ...this.cache.counts };
    this.runAhead = stepper.engine.schedule.choose(name === 'all-resident').runAhead;
  }

  async step(run: number, token: number): Promise<void> {
    const { name, stepper } = this.variant;
    const { routing, nTokens } = this.one;
    const missesNow = () => this.cache.counts.layers.map(({ misses }) => misses);
    const had = missesNow();
    const startMs = performance.now();
    const what =
      'trace' in routing
        ? { token: WARM_TRACE + run * TRACE_STRIDE + token }
        : { id: routing.ids[WARM_TEXT + run * nTokens + token] };
    await stepper.step(name === 'all-resident' ? 'whole' : 'paged', what);
    this.ms += performance.now() - startMs;
    this.misses.push(missesNow().map((n, layer) => n - had[layer]!));
  }

  end(costs: StepCosts): Run {
    const { runAhead, misses } = this;
    const { nTokens } = this.one;
    const since = (count: Exclude<keyof ExpertCounts, 'layers'>) =>
      (this.cache.counts[count] - this.before[count]) / nTokens;
    return {
      ms: this.ms / nTokens,
      predictedMs: predicted(this.variant.name, costs, runAhead, misses) + since('guesses') * costs.uploadQueueMs,
      runAhead,
      costs,
      counts: {
        hits: since('hits'),
        misses: since('misses'),
        faultedLayers: since('faultedLayers'),
        loads: since('loads'),
        useful: since('usefulGuesses'),
        foreseen: since('foreseenMisses'),
        foreseeable: since('foreseeableMisses'),
        stallMs: since('stallMs'),
        waits: since('blockingWaits'),
      },
    };
  }
}

/** Milliseconds of a token by the closed form of docs/routing.md, but for what guesses take. */
function predicted(
  name: VariantName,
  costs: StepCosts,
  runAhead: number,
  misses: readonly (readonly number[])[],
): number {
  const busyMs = misses[0]!.length * (costs.denseMs + costs.expertsMs + costs.routerMs) + costs.outsideMs;
  const schedule = name === 'A' ? 'sync' : name === 'B' || name === 'all-resident' ? 'whole' : runAhead;
  return busyMs + mean(misses.map((ofToken) => stallMs(costs, schedule, ofToken)));
}

/** Each cost's median over the runs. */
function middleCosts(runs: readonly Run[]): StepCosts {
  const middle = (of: Exclude<keyof StepCosts, 'routesFromInput'>) => median(runs.map(({ costs }) => costs[of]));
  return {
    denseMs: middle('denseMs'),
    expertsMs: middle('expertsMs'),
    routerMs: middle('routerMs'),
    outsideMs: middle('outsideMs'),
    skippedMs: middle('skippedMs'),
    submitMs: middle('submitMs'),
    readBackMs: middle('readBackMs'),
    uploadMs: middle('uploadMs'),
    uploadQueueMs: middle('uploadQueueMs'),
    routesFromInput: runs[0]!.costs.routesFromInput,
  };
}

function summary({ name, runs }: Variant, { file, routingName, share, declaredMs }: RowCase): MeasuredVariant {
  const middle = (of: (run: Run) => number) => median(runs.map(of));
  const meanOf = (of: (run: Run) => number) => mean(runs.map(of));
  const costs = middleCosts(runs);
  const layerMs = costs.denseMs + costs.expertsMs + costs.routerMs;
  const [ms, byPrediction] = [middle((run) => run.ms), middle((run) => run.predictedMs / run.ms)];
  const predictedMs = middle((run) => run.predictedMs);
  const runAhead = middle((run) => run.runAhead);
  const declared = declaredMs > 0 ? `, read-back declared ${declaredMs} ms slower` : '';
  const [hits, misses] = [meanOf(({ counts }) => counts.hits), meanOf(({ counts }) => counts.misses)];
  const foreseeable = meanOf(({ counts }) => counts.foreseeable);
  const waitMs = costs.readBackMs + costs.submitMs;
  const row: Row = {
    bench: `paging: ${file.name}, ${routingName}, ${100 * share}% of experts in slots${declared}`,
    name: name === 'C' || name === 'CP' ? `${name}(${runAhead})` : name,
    ms: round(ms),
    predictedMs: round(predictedMs),
    byPrediction: round(byPrediction),
    hitPercent: round((100 * hits) / (hits + misses)),
    misses: round(misses),
    faulted: round(meanOf(({ counts }) => counts.faultedLayers)),
    loads: round(meanOf(({ counts }) => counts.loads)),
    usefulGuesses: round(meanOf(({ counts }) => counts.useful)),
    recallOfMisses: round(foreseeable > 0 ? meanOf(({ counts }) => counts.foreseen) / foreseeable : 0),
    stallMs: round(meanOf(({ counts }) => counts.stallMs)),
    waits: round(meanOf(({ counts }) => counts.waits)),
    L: round(costs.readBackMs),
    s: round(costs.submitMs),
    uc: round(costs.uploadMs),
    ug: round(costs.uploadQueueMs),
    a: round(costs.denseMs),
    e: round(costs.expertsMs),
    g: round(costs.routerMs),
    dr: round(costs.skippedMs),
    x: round((waitMs + costs.uploadMs + costs.uploadQueueMs) / layerMs),
  };
  return {
    variant: name,
    routing: routingName,
    share,
    declaredMs,
    runsMs: runs.map((run) => run.ms),
    predictedMs,
    byPrediction,
    blockingWaits: meanOf(({ counts }) => counts.waits),
    faultedLayers: meanOf(({ counts }) => counts.faultedLayers),
    runAhead,
    costs,
    row,
  };
}
