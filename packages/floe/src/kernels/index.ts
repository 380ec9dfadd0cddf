export { attention } from './attention.ts';
export { combine } from './combine.ts';
export { embed } from './embed.ts';
export { groupByExpert } from './groupByExpert.ts';
export { expertMatmul, type MatmulOutput, matmul, type Route } from './matmul.ts';
export type { DenseMatrix, ExpertMatrix, ExpertPool, Matrix } from './matrix.ts';
export { rmsNorm } from './rmsNorm.ts';
export { type AttentionShape, type RopePairs, ropeAppend } from './ropeAppend.ts';
export { ABSENT, denseStage, expertStage, NO_FAULT, route } from './route.ts';
