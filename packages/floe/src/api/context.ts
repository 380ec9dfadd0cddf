/** The window a model gets: what the caller says, and for the rest what it was trained for and memory holds. */
import type { Host } from '../host/index.ts';
import { type KvFormatName, kvBlockBytes } from '../kernels/index.ts';
import { KV_ROWS, kvBytes, kvGeometry } from '../kv/index.ts';
import {
  type ContextPlan,
  DEFAULT_SINKS,
  kvShape,
  kvWindow,
  type ModelPlan,
  type Overflow,
  stepSizes,
} from '../model/index.ts';
import { rowStride } from '../quant/index.ts';
import { GPU_SHARE, UNKNOWN_MEMORY_BYTES } from './budget.ts';
import { invalid } from './check.ts';
import type { ContextInfo, LoadOptions } from './types.ts';

/** Of what the GPU's buffers may take: keys and values of a conversation. */
const KV_SHARE = 1 / 4;
/** What every WebGPU device can bind: a layer's keys and values are bound as one. */
const BINDABLE_BYTES = 128 << 20;
/** The most exact first. */
const FORMATS: readonly KvFormatName[] = ['F32', 'F16', 'Q8_0'];
const OVERFLOWS: readonly Overflow[] = ['slide', 'stop', 'error'];

/** Conversations whose whole windows are kept by themselves, as far as that takes no more than these bytes. */
const USUAL_CONVERSATIONS = 4;
const CHEAP_BYTES = 64 << 20;

export type LoadedContext = ContextPlan & Pick<ContextInfo, 'limitedBy'>;

/**
 * The window, its sinks and how they are kept. Of the budgets only `kvBytes` counts here, for the others change no bit of
 * an answer.
 *
 * @throws {RequestError} `request/invalid`: fewer than sinks + 2 positions, more than the model was trained for, and what
 * is no number, no format or no way to overflow.
 */
export function contextOf(
  host: Pick<Host, 'memoryBytes'>,
  plan: ModelPlan,
  options: Pick<LoadOptions, 'context' | 'contextLength' | 'budget'>,
): LoadedContext {
  const { context = {}, contextLength, budget = {} } = options;
  const { overflow = 'slide', sinks: nSinks = DEFAULT_SINKS, kv } = context;
  oneOf('context.overflow', overflow, OVERFLOWS);
  if (kv !== undefined) oneOf('context.kv', kv, FORMATS);
  const { nCtxTrain } = plan.shape;
  if (!Number.isInteger(nSinks) || nSinks < 0)
    throw invalid('context.sinks', String(nSinks), 'a whole number, 0 or more');
  const bytes = budget.kvBytes ?? (host.memoryBytes ?? UNKNOWN_MEMORY_BYTES) * GPU_SHARE * KV_SHARE;
  if (!(bytes > 0)) throw invalid('budget.kvBytes', String(bytes), 'a number of bytes above 0');
  const asked = context.window ?? contextLength;
  if (plan.description.pooling) return textContextOf(plan, asked, kv, bytes);
  const { conversations } = context;
  if (
    conversations !== undefined &&
    !(Number.isInteger(conversations) && conversations >= 1 && conversations <= KV_ROWS)
  )
    throw invalid('context.conversations', String(conversations), `a whole number from 1 to ${KV_ROWS}`);
  if (asked !== undefined) checkWindow(context.window === undefined ? 'contextLength' : 'context.window', asked);
  if (nSinks + 2 > nCtxTrain) throw invalid('context.sinks', String(nSinks), `at most ${nCtxTrain - 2}`);
  const wanted = { window: asked ?? nCtxTrain, nSinks, overflow, nWindows: conversations ?? 1 };
  const several = (one: LoadedContext) => ({ ...one, nWindows: conversations ?? windowsOf(plan, one, bytes) });
  const fits = (format: KvFormatName) => bytesOf(plan, { ...wanted, kv: format }) <= bytes;
  const format = kv ?? FORMATS.find(fits);
  if (asked !== undefined) return several({ ...wanted, kv: format ?? FORMATS.at(-1)!, limitedBy: 'asked' });
  if (format && fits(format) && isBindable(plan, { ...wanted, kv: format }))
    return several({ ...wanted, kv: format, limitedBy: 'trained' });
  const shorter = { ...wanted, kv: kv ?? 'F16' };
  return several({ ...shorter, window: longestWindow(plan, shorter, bytes), limitedBy: 'memory' });

  function checkWindow(argument: string, window: number): void {
    if (Number.isInteger(window) && window >= nSinks + 2 && window <= nCtxTrain) return;
    const range = `a whole number from ${nSinks + 2} (two more than its sinks) to ${nCtxTrain}, which the model was trained for`;
    throw invalid(argument, String(window), range);
  }
}

/** Of a model of texts' vectors: the longest text. Nothing slides; what is longer is refused. */
function textContextOf(
  plan: ModelPlan,
  asked: number | undefined,
  kv: KvFormatName = 'F32',
  bytes: number,
): LoadedContext {
  const { nCtxTrain } = plan.shape;
  const wanted = { window: asked ?? nCtxTrain, nSinks: 0, overflow: 'error', kv } as const;
  if (asked !== undefined) {
    if (!Number.isInteger(asked) || asked < 1 || asked > nCtxTrain) {
      throw invalid('context.window', String(asked), `a whole number from 1 to ${nCtxTrain}`);
    }
    return { ...wanted, limitedBy: 'asked' };
  }
  if (bytesOf(plan, wanted) <= bytes && isBindable(plan, wanted)) return { ...wanted, limitedBy: 'trained' };
  return { ...wanted, window: longestWindow(plan, wanted, bytes), limitedBy: 'memory' };
}

function windowOf(plan: ModelPlan, context: ContextPlan) {
  return kvWindow(context, stepSizes(plan, context).chunkTokens);
}

/** Whole windows that cost little, and no more than keys and values may. */
function windowsOf(plan: ModelPlan, context: ContextPlan, bytes: number): number {
  for (let nWindows = USUAL_CONVERSATIONS; nWindows > 1; nWindows--) {
    const tried = { ...context, nWindows };
    if (bytesOf(plan, tried) <= Math.min(bytes, CHEAP_BYTES) && isBindable(plan, tried)) return nWindows;
  }
  return 1;
}

function bytesOf(plan: ModelPlan, context: ContextPlan): number {
  return kvBytes(kvShape(plan), context.kv, windowOf(plan, context), context.nWindows);
}

function isBindable(plan: ModelPlan, context: ContextPlan): boolean {
  const { tableBlocks } = kvGeometry(windowOf(plan, context));
  const keysBytes = (context.nWindows ?? 1) * tableBlocks * kvBlockBytes(context.kv, plan.shape);
  const textBytes = plan.description.pooling ? context.window * rowStride(plan.shape.modelDim) * 4 : 0;
  return Math.max(keysBytes, textBytes) <= BINDABLE_BYTES;
}

/** The longest window whose keys and values fit, by halving what is in doubt; the shortest there is if none does. */
function longestWindow(plan: ModelPlan, context: ContextPlan, bytes: number): number {
  const fits = (window: number) => {
    const tried = { ...context, window };
    return bytesOf(plan, tried) <= bytes && isBindable(plan, tried);
  };
  let [fitting, beyond] = [context.nSinks + 2, context.window + 1];
  while (beyond - fitting > 1) {
    const middle = Math.floor((fitting + beyond) / 2);
    if (fits(middle)) fitting = middle;
    else beyond = middle;
  }
  return fitting;
}

function oneOf<T extends string>(argument: string, value: T, known: readonly T[]): void {
  if (!known.includes(value)) throw invalid(argument, String(value), known.map((name) => `'${name}'`).join(' or '));
}
