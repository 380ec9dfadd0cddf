export { KvBlocks } from './blocks.ts';
export {
  KV_ROWS,
  type KvGeometry,
  type KvShape,
  type KvWindow,
  kvBytes,
  kvGeometry,
  layerWindow,
  readBackBytes,
} from './geometry.ts';
export { KvPool } from './pool.ts';
export { portionsOf } from './portions.ts';
export { type HeldBlock, type KvCopy, KvSequence, type KvStep } from './sequence.ts';
