import type { KvFormatName, SinkWindow } from '../kernels/index.ts';
import type { KvShape, KvWindow } from '../kv/index.ts';
import type { ModelDescription } from './architecture.ts';

/**
 * What becomes of a conversation at the end of its window. 'slide': the window moves on with it, without end. 'stop': an
 * answer ends there. 'error': it throws there. A prompt that is longer is refused by both.
 */
export type Overflow = 'slide' | 'stop' | 'error';

/** What a model remembers of a conversation. */
export interface ContextPlan extends SinkWindow {
  readonly overflow: Overflow;
  readonly kv: KvFormatName;
  /** Whole windows there is room for, of however many conversations; default 1. */
  readonly nWindows?: number;
}

/** First tokens that stay (Xiao et al. 2024: four are enough, and without them a model falls apart). */
export const DEFAULT_SINKS = 4;

/** A window of `length` positions, kept in F32, at whose end answers stop: or the plan, where one is given. */
export function contextPlan(context: ContextPlan | number): ContextPlan {
  if (typeof context !== 'number') return context;
  return { window: context, nSinks: Math.max(0, Math.min(DEFAULT_SINKS, context - 2)), overflow: 'stop', kv: 'F32' };
}

/** The cache a conversation has in such a context. */
export function kvWindow({ window, nSinks, overflow }: ContextPlan, chunkTokens: number): KvWindow {
  return { window, nSinks, slides: overflow === 'slide', chunkTokens };
}

/** The layers and heads of the cache: one layer where a text's vector is wanted, for all of a text goes through it at once. */
export function kvShape({ description }: { readonly description: ModelDescription }): KvShape {
  return description.pooling ? { ...description.shape, nLayers: 1 } : description.shape;
}
