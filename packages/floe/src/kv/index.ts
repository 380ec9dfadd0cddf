export { KvCache, kvBytes } from './cache.ts';
