import routeWgsl from '#shaders/route.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import type { Route } from './matmul.ts';

/** A page-table entry: no slot holds this expert. */
export const ABSENT = 0xffffffff;

/** What the fault flag holds while nothing is missing: beyond every stage. */
export const NO_FAULT = 0xffffffff;

/** Stages order a step's work for the fault test: what runs whether or not the experts are here, then what needs them. */
export const denseStage = (layer: number): number => 2 * layer;
export const expertStage = (layer: number): number => 2 * layer + 1;

export interface RouteArgs {
  /** [T, nExperts], in rows of `logitStride`. */
  readonly logits: BufferView;
  readonly logitStride: number;
  /** [nLayers, nExperts] slot or ABSENT. */
  readonly pageTable: BufferView;
  readonly route: Route;
  readonly fault: BufferView;
  readonly layer: number;
  readonly nTokens: number;
}

/** The nExpertsUsed experts with the greatest logits, their weights exp(logit − max) and their slots; an ABSENT lowers the fault flag. */
export function route(rec: Recorder, a: RouteArgs): void {
  const { nExperts, nExpertsUsed, ids, weights, slots } = a.route;
  rec.dispatch({
    shader: routeWgsl,
    bindings: { logits: a.logits, pageTable: a.pageTable, ids, routeWeights: weights, slots, faultFlag: a.fault },
    params: {
      nExperts,
      nExpertsUsed,
      logitStride: a.logitStride,
      layer: a.layer,
      allStage: denseStage(a.layer),
      absent: ABSENT,
    },
    workgroups: [Math.ceil(nExperts / 16), a.nTokens],
  });
}
