export { KvBlocks } from './blocks.ts';
export { type KvGeometry, type KvShape, type KvWindow, kvBytes, kvGeometry, layerWindow } from './geometry.ts';
export { KvPool, type KvRoom } from './pool.ts';
export { type HeldBlock, type KvCopy, KvSequence, type KvStep } from './sequence.ts';
