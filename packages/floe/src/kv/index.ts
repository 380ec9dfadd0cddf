export { KvCache } from './cache.ts';
