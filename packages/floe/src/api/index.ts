export type * from './adapterTypes.ts';
export { loadInThread, type ThreadOptions } from './load.ts';
export { type LoadPlan, type PlannedPlace, type PlanOptions, planInThread } from './plan.ts';
export type { ExpectedSpeed, PlanRates, Routing } from './speed.ts';
export type * from './types.ts';
export { EXPERT_PLACES } from './types.ts';
