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
