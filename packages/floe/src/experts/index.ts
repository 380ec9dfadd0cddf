export {
  type CachePolicy,
  type DecayedCounts,
  decayedCounts,
  lfu,
  lruGlobal,
  lruPerLayer,
  type PoolSize,
} from './policy.ts';
export { ExpertSlots } from './slots.ts';
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
