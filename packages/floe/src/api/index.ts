export { loadInThread, type ThreadOptions } from './load.ts';
export type * from './types.ts';
export { EXPERT_PLACES } from './types.ts';
