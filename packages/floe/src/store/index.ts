export {
  ConversationStore,
  type ConversationWriter,
  type ModelHashes,
  type OwnAnswer,
  type PutBlocks,
  type SavedConversation,
} from './conversationStore.ts';
export { hex } from './manifest.ts';
export type { StoredModel } from './models.ts';
export { deleteModel, listModels } from './models.ts';
export type { BackgroundProgress, StoreNotice, StoreProgress } from './notices.ts';
export type { OpenedWeights, OpenWeightsOptions } from './openWeights.ts';
export { openWeights } from './openWeights.ts';
export { PACKING_VERSION, packRecord, unpackSource } from './pack.ts';
export type { MatrixPlan, RecordPlan, SourceRange } from './record.ts';
export type { ByteSource, ModelSource } from './source.ts';
export type { HttpOptions } from './sources/index.ts';
export { openSource } from './sources/index.ts';
export type { LateOptions, Urgency, WeightSource } from './weights.ts';
export { localWeights } from './weights.ts';
