import groupByExpertWgsl from '#shaders/groupByExpert.wgsl';
import type { Recorder } from '../gpu/index.ts';
import type { Route } from './matmul.ts';

/** Sorts the T · k (token, rank) pairs by expert, stably, into `route.starts` and `route.sorted`. */
export function groupByExpert(rec: Recorder, a: { route: Route; nTokens: number; stage: number }): void {
  const { ids, starts, sorted, nExperts, nExpertsUsed } = a.route;
  const nPairs = a.nTokens * nExpertsUsed;
  rec.dispatch({
    shader: groupByExpertWgsl,
    bindings: { ids, starts, sorted },
    params: { nPairs, nExperts, stage: a.stage },
    workgroups: [Math.ceil(Math.max(nPairs, nExperts + 1) / 16)],
  });
}
