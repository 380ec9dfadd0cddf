import combineWgsl from '#shaders/combine.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import type { Route } from './matmul.ts';

export interface CombineArgs {
  /** [T · k, modelDim] what each chosen expert said. */
  readonly outputs: BufferView;
  readonly route: Route;
  /** [T, modelDim]. */
  readonly y: BufferView;
  readonly nTokens: number;
  readonly modelDim: number;
  readonly stage: number;
}

/** y[T, modelDim] += Σ_rank w · output / Σ_rank w, in rank order: the same bits wherever the experts lie. */
export function combine(rec: Recorder, a: CombineArgs): void {
  const nVectors = rowStride(a.modelDim) / 4;
  rec.dispatch({
    shader: combineWgsl,
    bindings: { outputs: a.outputs, routeWeights: a.route.weights, y: a.y },
    params: { nTokens: a.nTokens, nVectors, nExpertsUsed: a.route.nExpertsUsed, stage: a.stage },
    workgroups: [Math.ceil(nVectors / 16), a.nTokens],
  });
}
