import activateExpertsWgsl from '#shaders/activateExperts.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import type { Route } from './matmul.ts';
import { ABSENT } from './route.ts';

export interface ActivateExpertsArgs {
  /** [T · k, gate | up], as one matrix of both made it. */
  readonly gateUp: BufferView;
  /** [nExperts, expertDim]. */
  readonly gateBias: BufferView;
  readonly upBias: BufferView;
  readonly route: Route;
  /** [T · k, expertDim]. */
  readonly y: BufferView;
  readonly nTokens: number;
  /** A multiple of 4. */
  readonly expertDim: number;
  readonly stage: number;
}

/** gpt-oss's clamped SwiGLU of biased gate and up, for pairs whose expert is in a slot. */
export function activateExperts(rec: Recorder, a: ActivateExpertsArgs): void {
  const { nTokens, expertDim, stage, route } = a;
  const nVectors = expertDim / 4;
  const strides = { gateUpStride: rowStride(2 * expertDim), biasStride: rowStride(expertDim) / 4 };
  rec.dispatch({
    shader: activateExpertsWgsl,
    bindings: {
      gateUp: a.gateUp,
      gateBias: a.gateBias,
      upBias: a.upBias,
      ids: route.ids,
      slots: route.slots,
      y: a.y,
    },
    params: { nVectors, ...strides, absent: ABSENT, stage },
    workgroups: [Math.ceil(nVectors / 32), nTokens * route.nExpertsUsed],
  });
}
