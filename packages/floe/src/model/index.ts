export { type Activations, activationBytes, makeActivations } from './activations.ts';
export { adapterBytes } from './adapterBytes.ts';
export { type AdapterPlan, planAdapter } from './adapterPlan.ts';
export { AdapterSet, type PlacedAdapter, placeAdapter } from './adapters.ts';
export type { Architecture, ModelDescription, ModelShape, Pooling } from './architecture.ts';
export { expertSizes, type GpuBudget, type MemoryPlan, planMemory, stepSizes } from './budget.ts';
export { type ContextPlan, contextPlan, DEFAULT_SINKS, kvShape, kvWindow, type Overflow } from './context.ts';
export { recordText, type TextCuts } from './encode.ts';
export {
  type DecodeShape,
  type LayerCuts,
  recordChunk,
  recordDecode,
  recordHead,
  recordSpan,
  type SpanCuts,
  type StepCuts,
} from './forward.ts';
export { type PlacedModel, type PlaceOptions, placeModel, type RecordReader } from './place.ts';
export { type TokenPlace, writePlaces } from './places.ts';
export { dominantFormat, type ModelPlan, planModel, routesFromInput } from './plan.ts';
export { denseRecords } from './planLayer.ts';
export { isExpertRecord } from './records.ts';
export { type RopeFrequencies, ropeAngles, ropeTablesOf } from './rope.ts';
export {
  makeStepActivations,
  ROUTING_PARTS,
  STEP_ROWS,
  type StepActivations,
  type StepRouting,
  stepActivationBytes,
} from './stepActivations.ts';
export type { StepSizes } from './stepSizes.ts';
