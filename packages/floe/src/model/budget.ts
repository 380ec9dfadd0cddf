/** What of a model lies where, under budgets of bytes: pure, and known before a weight is downloaded. */
import { ExpertsError, ModelError, RequestError } from '../errors/index.ts';
import { leastSlots, type SlotClass } from '../experts/index.ts';
import { kvBytes, readBackBytes } from '../kv/index.ts';
import { rowStride } from '../quant/index.ts';
import { activationBytes } from './activations.ts';
import { type ContextPlan, contextPlan, kvShape, kvWindow } from './context.ts';
import { type ModelPlan, routedLayers } from './plan.ts';
import { hasExpertGateApart, hasGateApart, keepsExpertGateUp } from './planLayer.ts';
import { isExpertRecord } from './records.ts';
import { stepActivationBytes } from './stepActivations.ts';
import type { StepSizes } from './stepSizes.ts';

/** Tokens of a prompt that go through the layers together. */
const CHUNK_TOKENS = 128;
/** The same of a text that is wanted as a vector: all that BERT has positions for, so that nothing of it is computed twice. */
const TEXT_CHUNK_TOKENS = 512;
/** Rows of logits kept at once when all are wanted. */
const LOGIT_ROWS = 16;
/** Tokens of a prompt whose experts are brought in once, where one buffer of what comes of them stays below these bytes. */
const SPAN_TOKENS = 4096;
const SPAN_BYTES = 64 << 20;
/** Of one dispatch at the most: half a second of a slow GPU, which is reset after two. */
const DISPATCH_FLOP = 2.5e11;
/** Parameters of recorded dispatches, read-back buffers and the like. */
const OTHER_BYTES = 2 << 20;
export const DISPATCH_BYTES = 256;
/** Graphs that are kept, at the most, and dispatches of a layer in all of them. */
export const KEPT_GRAPHS = 30;
const KEPT_DISPATCHES = 240;
/** Slots that a share may lack by rounding: less than a byte. */
const ROUNDING = 1e-9;

/**
 * How many slots experts get: bytes that cover every GPU buffer, dense weights, cache and activations too; or, for the
 * slots alone, a share of all experts ('25%'), or the fewest that work ('min').
 */
export type GpuBudget = number | 'min' | `${number}%`;

export interface MemoryPlan {
  readonly context: ContextPlan;
  readonly sizes: StepSizes;
  readonly denseBytes: number;
  readonly kvBytes: number;
  readonly activationBytes: number;
  /** Recorded graphs and read-backs, those of conversations that are kept elsewhere too, at the most. */
  readonly otherBytes: number;
  /** What is kept free for adapters. */
  readonly adapterBytes: number;
  readonly slots: readonly SlotClass[];
  /** Of all sizes together. */
  readonly nSlots: number;
  readonly slotBytes: number;
  /** Of all experts, as slots. */
  readonly expertBytes: number;
  /** All of it. */
  readonly gpuBytes: number;
  /** The least budget in bytes that works. */
  readonly leastGpuBytes: number;
}

/** Row counts of a prompt's buffers: by model and context alone, so that no budget changes a bit of an answer. */
export function stepSizes({ shape, description, layers }: ModelPlan, context: ContextPlan | number): StepSizes {
  const { window, nSinks } = contextPlan(context);
  if (description.pooling) {
    const chunkTokens = Math.min(TEXT_CHUNK_TOKENS, window);
    return { chunkTokens, spanTokens: window, logitRows: 1, window: { window, nSinks } };
  }
  const chunkTokens = Math.min(CHUNK_TOKENS, window);
  const { nExpertsUsed, modelDim, expertDim } = shape;
  const longestRow = layers.some(keepsExpertGateUp) ? Math.max(modelDim, 2 * expertDim) : modelDim;
  const rowBytes = nExpertsUsed * rowStride(longestRow) * 4;
  // Gate and up, a multiplication and an addition for each weight.
  const tokenFlop = nExpertsUsed * 2 * modelDim * 2 * expertDim;
  const inOneDispatch = Math.floor(Math.min(SPAN_BYTES / rowBytes, DISPATCH_FLOP / tokenFlop));
  const most = shape.nRoutedLayers === 0 ? chunkTokens : Math.min(SPAN_TOKENS, window, inOneDispatch);
  const spanTokens = most <= chunkTokens ? chunkTokens : Math.ceil(most / chunkTokens) * chunkTokens;
  return { chunkTokens, spanTokens, logitRows: Math.min(LOGIT_ROWS, window), window: { window, nSinks } };
}

/** Layers (of those with experts) whose experts are of one size, and that size. */
export function expertSizes(plan: ModelPlan): { slotBytes: number; layers: number[] }[] {
  const classes = new Map<number, number[]>();
  for (const [layer, { experts }] of routedLayers(plan.layers).entries()) {
    const bytes = experts.records[0]!.sizeBytes;
    classes.set(bytes, [...(classes.get(bytes) ?? []), layer]);
  }
  return [...classes].map(([slotBytes, layers]) => ({ slotBytes, layers }));
}

/**
 * Divides the GPU's memory: first what must be there, and what is kept for adapters, then as many slots as are left.
 * @throws {ExpertsError} `experts/budget-too-small`: fewer slots than one token of one layer needs, and one more.
 * @throws {ModelError} `model/budget-too-small`: of a model without experts, which has nothing to leave out.
 * @throws {RequestError} `request/invalid`: the budget is no number of bytes and no percentage.
 */
export function planMemory(
  plan: ModelPlan,
  wanted: ContextPlan | number,
  budget: GpuBudget | 'all',
  adapterBytes = 0,
): MemoryPlan {
  const context = contextPlan(wanted);
  const sizes = stepSizes(plan, context);
  const bytesOf = (isExpert: boolean) =>
    sum(plan.records.filter((record) => isExpertRecord(record) === isExpert).map(({ sizeBytes }) => sizeBytes));
  const [denseBytes, expertBytes] = [bytesOf(false), bytesOf(true)];
  const ofSteps = plan.description.pooling ? {} : stepActivationBytes(plan, sizes.window);
  const activations = sum([...Object.values(activationBytes(plan, sizes)), ...Object.values(ofSteps)]);
  const cacheSizes = [kvShape(plan), context.kv, kvWindow(context, sizes.chunkTokens), context.nWindows] as const;
  const cache = kvBytes(...cacheSizes);
  const otherBytes = OTHER_BYTES + readBackBytes(...cacheSizes) + keptDispatches(plan) * DISPATCH_BYTES;
  const fixedBytes = denseBytes + cache + activations + otherBytes + adapterBytes;
  const leastGpuBytes = fixedBytes + leastSlotBytes(plan, expertBytes);
  const share = shareOf(budget, fixedBytes, expertBytes);
  if (expertBytes === 0 && typeof budget === 'number' && budget < fixedBytes) throw tooSmallFor(budget, fixedBytes);
  const slots = divide(plan, budget, share, leastGpuBytes);
  const slotBytes = sum(slots.map((slotClass) => slotClass.nSlots * slotClass.slotBytes));
  return {
    context,
    sizes,
    denseBytes,
    kvBytes: cache,
    activationBytes: activations,
    otherBytes,
    adapterBytes,
    slots,
    nSlots: sum(slots.map(({ nSlots }) => nSlots)),
    slotBytes,
    expertBytes,
    gpuBytes: fixedBytes + slotBytes,
    leastGpuBytes,
  };
}

/** Gate and up that are apart take two dispatches more: a product for each, and an activation. */
function keptDispatches({ layers }: ModelPlan): number {
  const nApart = layers.filter(hasGateApart).length + layers.filter(hasExpertGateApart).length;
  return layers.length * KEPT_DISPATCHES + 2 * nApart * KEPT_GRAPHS;
}

/** Slots are shared out by what layers need, so the size that is shortest of its fewest says how many bytes all get. */
function leastSlotBytes(plan: ModelPlan, expertBytes: number): number {
  const bytes = expertSizes(plan).map(({ layers }) => {
    const nMost = layers.length * plan.shape.nExperts;
    return Math.ceil((leastSlots(plan.shape.nExpertsUsed, nMost) * expertBytes) / nMost);
  });
  return Math.max(0, ...bytes);
}

/** Slots for each size of expert, in the proportions in which layers need them. */
function divide(plan: ModelPlan, budget: GpuBudget | 'all', share: number, leastGpuBytes: number): SlotClass[] {
  return expertSizes(plan).map(({ slotBytes, layers }) => {
    const nMost = layers.length * plan.shape.nExperts;
    const nLeast = leastSlots(plan.shape.nExpertsUsed, nMost);
    // A percentage or 'min' is a wish for few; bytes are a promise that can't be kept below the least.
    const nSlots =
      typeof budget === 'number'
        ? Math.min(nMost, Math.floor(share * nMost + ROUNDING))
        : Math.max(nLeast, Math.round(share * nMost));
    if (nSlots < nLeast) throw tooSmall(Number(budget), leastGpuBytes, nSlots, nLeast);
    return { slotBytes, layers, nSlots };
  });
}

function shareOf(budget: GpuBudget | 'all', fixedBytes: number, allBytes: number): number {
  if (budget === 'all') return 1;
  if (budget === 'min') return 0;
  if (typeof budget === 'number' && budget > 0) return Math.max(0, (budget - fixedBytes) / Math.max(1, allBytes));
  const percent =
    typeof budget === 'string' ? Number(/^(\d+(?:\.\d+)?)%$/.exec(budget)?.[1] ?? Number.NaN) : Number.NaN;
  if (percent >= 0 && percent <= 100) return percent / 100;
  throw new RequestError('request/invalid', `A GPU budget of ${String(budget)} means nothing.`, {
    remedy: "Give bytes, a percentage of the experts ('25%'), or 'min'.",
    details: { budget: String(budget) },
  });
}

function tooSmall(budget: number, leastBytes: number, nSlots: number, leastSlots: number): ExpertsError {
  return new ExpertsError(
    'experts/budget-too-small',
    `${budget} bytes leave room for ${nSlots} experts on the GPU; ${leastSlots} is the least that works, ${leastBytes} bytes in all.`,
    {
      remedy: `Give at least ${leastBytes} bytes, a shorter context, or take a smaller quantization.`,
      details: { budget, leastBytes, nSlots, leastSlots },
    },
  );
}

function tooSmallFor(budget: number, leastBytes: number): ModelError {
  return new ModelError(
    'model/budget-too-small',
    `The model takes ${leastBytes} bytes on the GPU, of ${budget} it may.`,
    {
      remedy: `Give at least ${leastBytes} bytes, a shorter context, or take a smaller quantization.`,
      details: { budget, leastBytes },
    },
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
