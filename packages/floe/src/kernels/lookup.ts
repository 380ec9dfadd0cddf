import lookupWgsl from '#shaders/lookup.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import type { Route } from './matmul.ts';

export interface LookupArgs {
  readonly route: Route;
  /** [nExperts] slot or ABSENT: the experts whose turn it is. */
  readonly waveTable: BufferView;
  readonly nTokens: number;
  readonly stage: number;
}

/** route.slots[T, k] = waveTable[route.ids]: which pairs the expert matmuls behind it compute, and from where. */
export function lookup(rec: Recorder, { route, waveTable, nTokens, stage }: LookupArgs): void {
  const nPairs = nTokens * route.nExpertsUsed;
  rec.dispatch({
    shader: lookupWgsl,
    bindings: { ids: route.ids, waveTable, slots: route.slots },
    params: { nPairs, stage },
    workgroups: [Math.ceil(nPairs / 16)],
  });
}
