import type { Pooling } from './architecture.ts';
import type { Hyperparameters } from './hyperparameters.ts';

/** ggml's numbers of them: none, mean, CLS, last; and a score of how well two texts fit, which is no vector. */
const KINDS: readonly (Pooling | null)[] = [null, 'mean', 'cls', 'last', null];

/** The pooling that a file names (`pooling_type`). */
export function poolingOf(meta: Hyperparameters): Pooling | null {
  return KINDS[meta.optionalU32('pooling_type', { min: 0, max: KINDS.length - 1 }) ?? 0] ?? null;
}
