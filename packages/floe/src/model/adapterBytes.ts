/** What adapters take on the GPU: pure, and known before a weight of one is read. */
import { betweenBytes } from './adapterBetween.ts';
import type { AdapterPlan } from './adapterPlan.ts';
import { DISPATCH_BYTES, KEPT_GRAPHS } from './budget.ts';
import type { ModelPlan } from './plan.ts';
import { decodeSizes } from './stepActivations.ts';
import type { StepSizes } from './stepSizes.ts';

/**
 * All of it, of these adapters together as if each acted: their matrices, what steps and prompts write between A and B, and the
 * parameters of the dispatches they add. `prompts` are the sizes of a prompt's buffers.
 */
export function adapterBytes(plan: ModelPlan, prompts: StepSizes, adapters: readonly AdapterPlan[]): number {
  const sizes = plan.description.pooling ? [prompts] : [prompts, decodeSizes(prompts.window)];
  const matrices = adapters.flatMap(({ records }) => records.map(({ sizeBytes }) => sizeBytes));
  const between = sizes.flatMap((one) => [...betweenBytes(plan, one, adapters).values()]);
  const nPairs = adapters.reduce((sum, { pairs }) => sum + pairs.length, 0);
  // Two for each pair, and of each layer an activation of its MLP and of its experts by themselves.
  const nDispatches = 2 * nPairs + (nPairs > 0 ? 2 * plan.shape.nLayers : 0);
  return [...matrices, ...between, nDispatches * KEPT_GRAPHS * DISPATCH_BYTES].reduce((sum, bytes) => sum + bytes, 0);
}
