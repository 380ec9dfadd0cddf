export { type Activations, makeActivations } from './activations.ts';
export type { Architecture, FeedForward, ModelShape } from './architecture.ts';
export { recordStep, type WantedLogits } from './forward.ts';
export { type PlacedModel, type PlaceOptions, placeModel, type RecordReader } from './place.ts';
export { dominantFormat, type ModelPlan, planModel } from './plan.ts';
export { ropeAngles } from './rope.ts';
