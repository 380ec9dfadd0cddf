export { type AnswerPart, type AnswerRequest, answer } from './answer.ts';
export { Encoder } from './encoder.ts';
export { topLogprobs } from './logprobs.ts';
export { type LossyCost, measureLoss } from './lossyCost.ts';
export { unitVector } from './pooling.ts';
export { type Picking, Runner } from './runner.ts';
export type { Schedule } from './schedule.ts';
export { StopMatcher } from './stop.ts';
