/** How fast a model would answer whose experts lie in several places: routes are simulated, times reckoned from rates. */
import {
  decayedCounts,
  generateTrace,
  type LayerCosts,
  layerMs,
  leastRunAhead,
  simulate,
  TRACE_RECIPES,
  type Trace,
} from '../experts/index.ts';
import { denseRecords, type ModelPlan, routesFromInput } from '../model/index.ts';
import type { RecordPlan } from '../store/index.ts';

/** Bytes a second. */
export interface PlanRates {
  /** The GPU reads its own memory. */
  readonly gpu: number;
  /** From this thread's memory to the GPU. */
  readonly upload: number;
  /** From the origin's storage, or from the file where it is read in place, to memory. */
  readonly storage: number;
  readonly network: number;
}

/** How much routing repeats itself; nobody knows of a model before it has run. docs/routing.md has the recipes. */
export const ROUTINGS = ['flat', 'mid', 'hot'] as const;
export type Routing = (typeof ROUTINGS)[number];

/** Of decoding, once a conversation is under way; its first tokens come slower. */
export interface ExpectedSpeed {
  readonly routing: Routing;
  /** Share of the routes whose expert has a slot. */
  readonly hitRate: number;
  /** Experts that a token brings to the GPU, by where they are. */
  readonly loadsPerToken: { readonly memory: number; readonly storage: number; readonly network: number };
  /** Of all of them. */
  readonly bytesPerToken: number;
  readonly msPerToken: number;
  readonly tokensPerSecond: number;
}

/** Experts that each place has room for. */
export interface Held {
  readonly nSlots: number;
  /** Those of the slots too: memory keeps what is wanted most, and the GPU's bytes can't be had back. */
  readonly nMemory: number;
  readonly nStorage: number;
}

const WARM_UP_TOKENS = 200;
const COUNTED_TOKENS = 400;
const SEED = 1;

/** Decoding reads each weight once. What does not come of bytes, in milliseconds, is as on integrated GPUs. */
const READ_BACK_MS = 0.5;
const SUBMIT_MS = 0.05;
const SKIPPED_MS = 0.05;
/** A dozen dispatches of a layer, beyond their bytes. */
const LAYER_MS = 0.2;

/** Milliseconds of one token where nothing has to come: the GPU reads what the token uses. */
export function baseMs(plan: ModelPlan, rates: PlanRates): number {
  const heads = [plan.output ?? plan.tokenEmbd, ...(plan.outputNorm ? [plan.outputNorm.weight] : [])];
  return READ_BACK_MS + SUBMIT_MS + nCounted(plan) * layerMs(costsOf(plan, rates, 0)) + gpuMs(heads, rates);
}

/** Simulates one routing. The first time it costs half a second for a model of Arctic's size. */
export function expectSpeed(plan: ModelPlan, held: Held, rates: PlanRates, routing: Routing): ExpectedSpeed {
  const trace = routesOf(plan, routing);
  const { nLayers, nExperts, nExpertsUsed } = trace;
  const nAll = nLayers * nExperts;
  // Of each way an expert may come, as if all came by it.
  const ways = [0, 1 / rates.storage, 1 / rates.network].map((secondsPerByte) => {
    const costs = costsOf(plan, rates, secondsPerByte);
    return { costs, schedule: leastRunAhead(costs) };
  });
  const run = (nSlots: number, times: typeof ways = []) =>
    simulate(trace, decayedCounts, {
      nSlots: Math.min(nSlots, nAll),
      nWarmUpTokens: WARM_UP_TOKENS,
      resident: firstExperts(nLayers, nExperts, nSlots),
      times,
    });
  const gpu = run(held.nSlots, ways);
  const near = held.nMemory > held.nSlots ? run(held.nMemory) : gpu;
  const misses = 1 - gpu.hitRate;
  // Memory holds what is worth most, storage what came first.
  const beyond = misses > 0 ? Math.min(1, (1 - near.hitRate) / misses) : 0;
  const stored = Math.min(1, held.nStorage / nAll);
  const shares = [1 - beyond, beyond * stored, beyond * (1 - stored)];
  const stall = shares.reduce((sum, share, i) => sum + share * gpu.stallMsPerToken[i]!, 0);
  const ms = baseMs(plan, rates) - READ_BACK_MS - SUBMIT_MS + stall;
  const loads = shares.map((share) => share * misses * nLayers * nExpertsUsed);
  return {
    routing,
    hitRate: gpu.hitRate,
    loadsPerToken: { memory: loads[0]!, storage: loads[1]!, network: loads[2]! },
    bytesPerToken: gpu.bytesPerToken,
    msPerToken: ms,
    tokensPerSecond: 1000 / ms,
  };
}

/** Keys as they lie in slots before the first token: the first experts of each layer. */
function firstExperts(nLayers: number, nExperts: number, n: number): number[] {
  const length = Math.min(n, nLayers * nExperts);
  return Array.from({ length }, (_, i) => (i % nLayers) * nExperts + Math.floor(i / nLayers));
}

/** Of the model last asked for: a thread that tries one budget after another waits for them once. A few hundred KB. */
const kept = new Map<string, Trace>();

/** The routes of one of Arctic's recipes, with this model's shape. */
function routesOf(plan: ModelPlan, routing: Routing): Trace {
  const { nExperts, nExpertsUsed } = plan.shape;
  const nLayers = plan.layers.filter(({ experts }) => experts).length;
  const size = { nLayers, nExperts, nExpertsUsed, slotBytes: meanExpertBytes(plan) };
  const key = JSON.stringify({ routing, ...size });
  const trace =
    kept.get(key) ??
    generateTrace(
      { ...TRACE_RECIPES[`arctic-${routing}`], ...size },
      { nTokens: WARM_UP_TOKENS + COUNTED_TOKENS, seed: SEED },
    );
  if (!kept.has(key) && kept.size === ROUTINGS.length) kept.clear();
  kept.set(key, trace);
  return trace;
}

function meanExpertBytes(plan: ModelPlan): number {
  const sizes = plan.layers.flatMap(({ experts }) => experts?.records[0]?.sizeBytes ?? []);
  return sizes.length === 0 ? 0 : sizes.reduce((a, b) => a + b) / sizes.length;
}

/** Layers that costs are shared among: those with experts, which stalls are counted by; of a model without, all. */
function nCounted({ shape }: ModelPlan): number {
  return shape.nRoutedLayers || shape.nLayers;
}

/** Of each of these, where an expert takes `secondsPerByte` to reach this thread's memory. */
function costsOf(plan: ModelPlan, rates: PlanRates, secondsPerByte: number): LayerCosts {
  const expertBytes = meanExpertBytes(plan);
  const { nLayers, nExpertsUsed } = plan.shape;
  const n = nCounted(plan);
  const dense = plan.layers.flatMap(({ experts: _, ...rest }) => denseRecords(rest));
  const routers = plan.layers.flatMap(({ experts }) => (experts ? [experts.gateInp.weight] : []));
  return {
    denseMs: gpuMs(dense, rates) / n,
    expertsMs: ((nExpertsUsed * expertBytes) / rates.gpu) * 1000,
    routerMs: (gpuMs(routers, rates) + nLayers * LAYER_MS) / n,
    skippedMs: SKIPPED_MS,
    readBackMs: READ_BACK_MS,
    submitMs: SUBMIT_MS,
    uploadMs: expertBytes * (1 / rates.upload + secondsPerByte) * 1000,
    // Read from staging and written to the slot.
    uploadQueueMs: ((2 * expertBytes) / rates.gpu) * 1000,
    routesFromInput: routesFromInput(plan),
  };
}

function gpuMs(records: readonly RecordPlan[], rates: PlanRates): number {
  return (records.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / rates.gpu) * 1000;
}
