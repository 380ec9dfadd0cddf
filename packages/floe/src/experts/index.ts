export { ExpertCache, type ExpertCacheOptions, type ExpertSize, type Residence } from './cache.ts';
export type { ExpertCounts, LayerCounts } from './counts.ts';
export {
  generateTrace,
  TRACE_RECIPES,
  type TraceRecipe,
  type TraceRecipeName,
} from './generateTrace.ts';
export { shareReused } from './locality.ts';
export { type Claim, Pager } from './pager.ts';
export {
  type CachePolicy,
  type DecayedCounts,
  decayedCounts,
  lfu,
  lruGlobal,
  lruPerLayer,
  type PoolSize,
} from './policy.ts';
export type { ExpertSource } from './reads.ts';
export { type SimulateOptions, type Simulation, simulate } from './simulate.ts';
export { belady } from './simulateBelady.ts';
export {
  type LayerCosts,
  layerMs,
  leastRunAhead,
  type Schedule,
  stallMs,
} from './simulateCost.ts';
export { checkSlots, ExpertSlots, leastSlots, type SlotClass } from './slots.ts';
export {
  DECODE,
  encodeTraceShape,
  encodeTraceToken,
  NOT_ROUTED,
  PROMPT,
  readTrace,
  type Trace,
  type TraceShape,
  type TraceToken,
  writeTrace,
} from './trace.ts';
export { readTraceCsv } from './traceCsv.ts';
