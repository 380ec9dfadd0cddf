import rmsNormCooperativeWgsl from '#shaders/rmsNormCooperative.wgsl';
import rmsNormThreadWgsl from '#shaders/rmsNormThread.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { lanesPart, setsPerWorkgroup } from './lanes.ts';

export interface RmsNormArgs {
  /** [T, modelDim], rows padded with zeros. */
  readonly x: BufferView;
  /** [modelDim], padded with zeros. */
  readonly weight: BufferView;
  readonly y: BufferView;
  readonly nTokens: number;
  readonly modelDim: number;
  readonly eps: number;
  readonly stage: number;
}

/** y[T, modelDim] = x / sqrt(mean(x²) + eps) · weight, row by row. Zhang & Sennrich 2019. */
export function rmsNorm(rec: Recorder, a: RmsNormArgs): void {
  const bindings = { x: a.x, weight: a.weight, y: a.y };
  const { nTokens, modelDim, eps, stage } = a;
  const params = { nTokens, modelDim, stride: rowStride(modelDim), eps, stage };
  if (rec.device.family === 'thread') {
    rec.dispatch({ shader: rmsNormThreadWgsl, bindings, params, workgroups: [Math.ceil(nTokens / 4)] });
  } else {
    const parts = { lanes: lanesPart(rec.device) };
    const workgroups = [Math.ceil(nTokens / setsPerWorkgroup(rec.device))] as const;
    rec.dispatch({ shader: rmsNormCooperativeWgsl, bindings, params, parts, workgroups });
  }
}
