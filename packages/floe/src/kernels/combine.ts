import combineWgsl from '#shaders/combine.wgsl';
import outputsBiased from '#shaders/parts/outputs_biased.wgsl';
import outputsPlain from '#shaders/parts/outputs_plain.wgsl';
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
  /** [nExperts, modelDim], added to what each expert said; default: none. */
  readonly bias?: BufferView | null;
  /** Whether weights are divided by their sum; default: they are. */
  readonly renormalise?: boolean;
  /** Of what is added; default 1. */
  readonly scale?: number;
  readonly stage: number;
}

/**
 * y[T, modelDim] += scale · Σ_rank w · (output + bias) / Σ_rank w, in rank order: the same bits wherever the experts lie.
 * Without `renormalise`, weights are taken as they are.
 */
export function combine(rec: Recorder, a: CombineArgs): void {
  const nVectors = rowStride(a.modelDim) / 4;
  rec.dispatch({
    shader: combineWgsl,
    parts: { outputs: a.bias ? outputsBiased : outputsPlain },
    bindings: {
      outputs: a.outputs,
      routeWeights: a.route.weights,
      y: a.y,
      ...(a.bias ? { ids: a.route.ids, downBias: a.bias } : {}),
    },
    params: {
      nVectors,
      nExpertsUsed: a.route.nExpertsUsed,
      renormalise: (a.renormalise ?? true) ? 1 : 0,
      inverseScale: 1 / (a.scale ?? 1),
      stage: a.stage,
    },
    workgroups: [Math.ceil(nVectors / 16), a.nTokens],
  });
}
