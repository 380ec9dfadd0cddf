import addBranchWgsl from '#shaders/addBranch.wgsl';
import gainGate from '#shaders/parts/gain_gate.wgsl';
import gainScale from '#shaders/parts/gain_scale.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';

export interface AddBranchArgs {
  /** [T, modelDim]. */
  readonly branch: BufferView;
  /** [T, modelDim], the residual stream. */
  readonly x: BufferView;
  readonly nTokens: number;
  readonly modelDim: number;
  readonly scale: number;
  /** [T, 1]: each token's branch is multiplied by the sigmoid of it; null: it is not. */
  readonly gate: BufferView | null;
  readonly stage: number;
}

/** x += scale · sigmoid(gate) · branch. */
export function addBranch(rec: Recorder, a: AddBranchArgs): void {
  const nVectors = rowStride(a.modelDim) / 4;
  rec.dispatch({
    shader: addBranchWgsl,
    parts: { gain: a.gate ? gainGate : gainScale },
    bindings: { branch: a.branch, x: a.x, ...(a.gate ? { gate: a.gate } : {}) },
    params: { nVectors, gateStride: rowStride(1), scale: a.scale, stage: a.stage },
    workgroups: [Math.ceil(nVectors / 32), a.nTokens],
  });
}
