import layerNormCooperativeWgsl from '#shaders/layerNormCooperative.wgsl';
import layerNormThreadWgsl from '#shaders/layerNormThread.wgsl';
import shiftBias from '#shaders/parts/shift_bias.wgsl';
import shiftNone from '#shaders/parts/shift_none.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import { lanesPart, setsPerWorkgroup } from './lanes.ts';
import type { RmsNormArgs } from './rmsNorm.ts';

export interface LayerNormArgs extends RmsNormArgs {
  /** [modelDim], padded with zeros; null: none. */
  readonly bias: BufferView | null;
}

/** y[T, modelDim] = (x - mean(x)) / sqrt(variance(x) + eps) · weight + bias, row by row. Ba et al. 2016. */
export function layerNorm(rec: Recorder, a: LayerNormArgs): void {
  const bindings = { x: a.x, weight: a.weight, y: a.y, ...(a.bias ? { bias: a.bias } : {}) };
  const { nTokens, modelDim, eps, stage } = a;
  const params = { nTokens, modelDim, stride: rowStride(modelDim), eps, stage };
  const shift = a.bias ? shiftBias : shiftNone;
  if (rec.device.family === 'thread') {
    const workgroups = [Math.ceil(nTokens / 4)] as const;
    rec.dispatch({ shader: layerNormThreadWgsl, bindings, params, parts: { shift }, workgroups });
  } else {
    const parts = { shift, lanes: lanesPart(rec.device) };
    const workgroups = [Math.ceil(nTokens / setsPerWorkgroup(rec.device))] as const;
    rec.dispatch({ shader: layerNormCooperativeWgsl, bindings, params, parts, workgroups });
  }
}
