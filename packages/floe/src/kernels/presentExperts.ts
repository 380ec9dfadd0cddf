import presentExpertsWgsl from '#shaders/presentExperts.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import type { Route } from './matmul.ts';
import { ABSENT } from './route.ts';

export interface PresentExpertsArgs {
  readonly route: Route;
  /** [T, k], written: what a `Route` over matrices that are indexed by expert has in the place of slots. */
  readonly present: BufferView;
  readonly nTokens: number;
  readonly stage: number;
}

/** present[T, k] = the id of each chosen expert that lies in a slot, ABSENT for the others. */
export function presentExperts(rec: Recorder, { route, present, nTokens, stage }: PresentExpertsArgs): void {
  const nPairs = nTokens * route.nExpertsUsed;
  rec.dispatch({
    shader: presentExpertsWgsl,
    bindings: { ids: route.ids, slots: route.slots, present },
    params: { nPairs, absent: ABSENT, stage },
    workgroups: [Math.ceil(nPairs / 16)],
  });
}
