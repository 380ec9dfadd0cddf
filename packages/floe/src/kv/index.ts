export { KvBlocks } from './blocks.ts';
export { KV_ROWS, type KvGeometry, type KvShape, type KvWindow, kvBytes, kvGeometry, layerWindow } from './geometry.ts';
export { KvPool } from './pool.ts';
export { type HeldBlock, type KvCopy, KvSequence, type KvStep } from './sequence.ts';
