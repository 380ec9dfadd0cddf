/** Floe in a page: sparse mixture-of-experts language models on WebGPU, from their own GGUF. */
import { type LoadPlan, type PlanOptions, planInThread } from './api/index.ts';
import { browserHost } from './host/index.ts';
import * as store from './store/index.ts';

export type * from './api/index.ts';
export { EXPERT_PLACES } from './api/index.ts';
export * from './errors/errors.ts';
export type { StoredModel } from './store/index.ts';
export { loadModel } from './worker/index.ts';

/** The models this origin's storage holds, half-downloaded ones too. */
export function listModels(): Promise<readonly store.StoredModel[]> {
  return store.listModels(browserHost());
}

/**
 * Deletes a model from this origin's storage, by its id or address.
 *
 * @throws {StoreError} `store/blocked`: a tab is using it.
 */
export function deleteModel(idOrUrl: string): Promise<void> {
  return store.deleteModel(browserHost(), idOrUrl);
}

/**
 * What `loadModel` would put where within a budget, and what speed to expect of it; reads the header only. Of an address
 * it is taken that the whole model is kept in this origin's storage.
 *
 * @throws {ExpertsError} `experts/budget-too-small`: `details.leastBytes` is the least that works.
 * @example
 * const { gpu, speeds } = await planLoad(url, { budget: { gpuBytes: 2e9, memoryBytes: 4e9 } });
 */
export function planLoad(source: string | URL | Blob | readonly Blob[], options: PlanOptions = {}): Promise<LoadPlan> {
  const isAddress = typeof source === 'string' || source instanceof URL;
  const address = isAddress ? new URL(source, globalThis.location?.href) : source;
  return planInThread(browserHost(), address, options);
}
