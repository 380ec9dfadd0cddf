/** Floe in a page: sparse mixture-of-experts language models on WebGPU, from their own GGUF. */
import { browserHost } from './host/index.ts';
import * as store from './store/index.ts';

export type * from './api/index.ts';
export { EXPERT_PLACES } from './api/index.ts';
export * from './errors/errors.ts';
export type { StoredModel } from './store/index.ts';
export { loadModel, planLoad } from './worker/index.ts';

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
