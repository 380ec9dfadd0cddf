import changeBias from '#shaders/parts/change_bias.wgsl';
import changeCap from '#shaders/parts/change_cap.wgsl';
import changeClamp from '#shaders/parts/change_clamp.wgsl';
import changeGelu from '#shaders/parts/change_gelu.wgsl';
import changeScale from '#shaders/parts/change_scale.wgsl';
import pointwiseWgsl from '#shaders/pointwise.wgsl';
import type { BufferView, Recorder, ShaderPart } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';

export interface PointwiseArgs {
  /** [T, stride], changed in place. */
  readonly y: BufferView;
  readonly nTokens: number;
  /** Values of a row that change, from `offset` (default 0) on. */
  readonly dim: number;
  /** Default: `dim` padded to whole groups. */
  readonly stride?: number;
  readonly offset?: number;
  readonly stage: number;
}

/** A vector [dim] that lies in rows of `rowDim` values, each padded with zeros to whole groups of 32. */
export interface Bias {
  readonly values: BufferView;
  readonly rowDim: number;
}

/** y += bias. */
export function addBias(rec: Recorder, bias: Bias, a: PointwiseArgs): void {
  const rows = { rowVectors: bias.rowDim / 4, rowStride: rowStride(bias.rowDim) / 4 };
  // One row is as long as it is: nothing of it is skipped.
  const whole = bias.rowDim === a.dim ? { rowVectors: rowStride(a.dim) / 4 } : {};
  record(rec, a, changeBias, { bias: bias.values }, { ...rows, ...whole });
}

/** y = y cut to ± limit. */
export function clampTo(rec: Recorder, limit: number, a: PointwiseArgs): void {
  record(rec, a, changeClamp, {}, { amount: limit });
}

/** y · = scale. */
export function scaleBy(rec: Recorder, scale: number, a: PointwiseArgs): void {
  record(rec, a, changeScale, {}, { amount: scale });
}

/** y = cap · tanh(y / cap). */
export function softCap(rec: Recorder, cap: number, a: PointwiseArgs): void {
  record(rec, a, changeCap, {}, { amount: cap });
}

/** y = gelu(y), by tanh. */
export function gelu(rec: Recorder, a: PointwiseArgs): void {
  record(rec, a, changeGelu, {}, {});
}

function record(
  rec: Recorder,
  { y, nTokens, dim, stride = rowStride(dim), offset = 0, stage }: PointwiseArgs,
  change: ShaderPart,
  bindings: Record<string, BufferView>,
  params: { amount?: number; rowVectors?: number; rowStride?: number },
): void {
  const nVectors = Math.ceil(dim / 4);
  const place = { nVectors, strideVectors: stride / 4, offsetVectors: offset / 4, stage };
  rec.dispatch({
    shader: pointwiseWgsl,
    parts: { change },
    bindings: { y, ...bindings },
    params: { amount: 0, rowVectors: 1, rowStride: 1, ...params, ...place },
    workgroups: [Math.ceil(nVectors / 32), nTokens],
  });
}
