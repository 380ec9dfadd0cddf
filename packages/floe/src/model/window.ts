import type { Hyperparameters } from './hyperparameters.ts';

/**
 * Which window a layer has: of each `period` layers the last sees all, the others `attention.sliding_window` keys.
 * `usual` is what a file means that does not say; null, and 0 in the file: no layer has a window.
 */
export function slidingWindow(
  meta: Hyperparameters,
  { period, usual }: { readonly period: number; readonly usual: number | null },
): (layer: number) => number | null {
  const window = meta.optionalU32('attention.sliding_window', { min: 0, max: 1 << 24 }) ?? usual;
  const every = meta.optionalU32('attention.sliding_window_pattern', { min: 1, max: 512 }) ?? period;
  return (layer) => (window && layer % every < every - 1 ? window : null);
}
