import groupByExpertCooperativeWgsl from '#shaders/groupByExpertCooperative.wgsl';
import groupByExpertThreadWgsl from '#shaders/groupByExpertThread.wgsl';
import type { Recorder } from '../gpu/index.ts';
import type { SortedRoute } from './matmul.ts';

/** Sorts the T · k (token, rank) pairs by expert, stably, into `route.starts` and `route.sorted`: reads each nExperts times. */
export function groupByExpert(rec: Recorder, a: { route: SortedRoute; nTokens: number; stage: number }): void {
  const { ids, starts, sorted, nExperts, nExpertsUsed } = a.route;
  const bindings = { ids, starts, sorted };
  const params = { nPairs: a.nTokens * nExpertsUsed, nExperts, stage: a.stage };
  // One more than there are experts: where the last one's pairs end.
  if (rec.device.family === 'thread') {
    rec.dispatch({ shader: groupByExpertThreadWgsl, bindings, params, workgroups: [Math.ceil((nExperts + 1) / 4)] });
  } else {
    rec.dispatch({ shader: groupByExpertCooperativeWgsl, bindings, params, workgroups: [nExperts + 1] });
  }
}
