import slotsLater from '#shaders/parts/slots_later.wgsl';
import slotsPaged from '#shaders/parts/slots_paged.wgsl';
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
  readonly route: Route;
  /** Where slots are looked up: in the page table now (decoding), or wave by wave later (a prompt; lookup.ts). */
  readonly slots: PagedSlots | 'later';
  readonly layer: number;
  readonly nTokens: number;
}

export interface PagedSlots {
  /** [nLayers, nExperts] slot or ABSENT. */
  readonly pageTable: BufferView;
  readonly fault: BufferView;
}

/** The nExpertsUsed experts with the greatest logits, their weights exp(logit − max) and, paged, their slots; an ABSENT lowers the fault flag. */
export function route(rec: Recorder, a: RouteArgs): void {
  const { nExperts, nExpertsUsed, ids, weights } = a.route;
  const paged =
    a.slots === 'later' ? null : { pageTable: a.slots.pageTable, slots: a.route.slots, faultFlag: a.slots.fault };
  rec.dispatch({
    shader: routeWgsl,
    parts: { slots: paged ? slotsPaged : slotsLater },
    bindings: { logits: a.logits, ids, routeWeights: weights, ...paged },
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
