import groupNormCooperativeWgsl from '#shaders/groupNormCooperative.wgsl';
import groupNormThreadWgsl from '#shaders/groupNormThread.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import { lanesPart, setsPerWorkgroup } from './lanes.ts';

export interface GroupNormArgs {
  /** [T, stride], changed in place. */
  readonly y: BufferView;
  /** [groupDim]. */
  readonly weight: BufferView;
  readonly nTokens: number;
  /** Groups of a row, one behind the other. */
  readonly nGroups: number;
  /** Values of a group; a multiple of 4, as `stride` and `offset` are. */
  readonly groupDim: number;
  readonly stride: number;
  /** Where in a row the first group begins. */
  readonly offset: number;
  readonly eps: number;
  readonly stage: number;
}

/** RMS norm of parts of rows, in place: each head's query, or a vector that shares its row with others. */
export function groupNorm(rec: Recorder, a: GroupNormArgs): void {
  const { nTokens, nGroups, groupDim, stride, offset, eps, stage } = a;
  const bindings = { y: a.y, weight: a.weight };
  const params = {
    nTokens,
    nGroups,
    groupVectors: groupDim / 4,
    strideVectors: stride / 4,
    offsetVectors: offset / 4,
    eps,
    stage,
  };
  const n = nTokens * nGroups;
  if (rec.device.family === 'thread') {
    rec.dispatch({ shader: groupNormThreadWgsl, bindings, params, workgroups: [Math.ceil(n / 8)] });
  } else {
    const parts = { lanes: lanesPart(rec.device) };
    // The kernel strides over what is left, so any number of workgroups is right.
    const workgroups = [Math.min(Math.ceil(n / setsPerWorkgroup(rec.device)), 8192)] as const;
    rec.dispatch({ shader: groupNormCooperativeWgsl, bindings, params, parts, workgroups });
  }
}
