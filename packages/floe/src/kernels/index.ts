export { activate, type GatedOutput } from './activate.ts';
export { activateExperts } from './activateExperts.ts';
export { addBranch } from './addBranch.ts';
export { argmax, NOTHING_PICKED } from './argmax.ts';
export { type AttentionArgs, attention, FEW_TOKENS, partialBytes, type SinkWindow } from './attention.ts';
export { combine } from './combine.ts';
export { embed } from './embed.ts';
export { groupByExpert } from './groupByExpert.ts';
export { groupNorm } from './groupNorm.ts';
export {
  type AttentionShape,
  KV_BLOCK,
  type KvFormatName,
  type KvView,
  kvBlockBytes,
  kvFormats,
} from './kvFormats.ts';
export { latentHeads } from './latentHeads.ts';
export { latentKeys } from './latentKeys.ts';
export { layerNorm } from './layerNorm.ts';
export { lookup } from './lookup.ts';
export {
  type ExpertMatmulArgs,
  expertMatmul,
  type MatmulArgs,
  type MatmulOutput,
  matmul,
  type Route,
  type SortedRoute,
  WIDE_TOKENS,
} from './matmul.ts';
export type { DenseMatrix, ExpertMatrix, ExpertPool, Matrix } from './matrix.ts';
export { addBias, type Bias, clampTo, gelu, scaleBy, softCap } from './pointwise.ts';
export { presentExperts } from './presentExperts.ts';
export { rmsNorm } from './rmsNorm.ts';
export { type RopePairs, ropeAppend } from './ropeAppend.ts';
export { ABSENT, denseStage, expertStage, type Gating, NO_FAULT, type PagedSlots, route } from './route.ts';
export { SAMPLING_VALUES, sample } from './sample.ts';
