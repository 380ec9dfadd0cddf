/** Floe in a page: sparse mixture-of-experts language models on WebGPU, from their own GGUF. */
export type * from './api/index.ts';
export * from './errors/errors.ts';
export { loadModel } from './worker/index.ts';
