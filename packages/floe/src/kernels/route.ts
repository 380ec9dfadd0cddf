import biasNone from '#shaders/parts/bias_none.wgsl';
import biasSelection from '#shaders/parts/bias_selection.wgsl';
import choiceAll from '#shaders/parts/choice_all.wgsl';
import choiceGroups from '#shaders/parts/choice_groups.wgsl';
import choiceLogits from '#shaders/parts/choice_logits.wgsl';
import gatingSigmoid from '#shaders/parts/gating_sigmoid.wgsl';
import gatingSoftmax from '#shaders/parts/gating_softmax.wgsl';
import slotsLater from '#shaders/parts/slots_later.wgsl';
import slotsPaged from '#shaders/parts/slots_paged.wgsl';
import routeWgsl from '#shaders/route.wgsl';
import type { BufferView, Recorder, ShaderPart } from '../gpu/index.ts';
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
  /** Default: `SOFTMAX`. */
  readonly gating?: Gating;
}

/** How logits become a choice, and what each of the chosen is worth. */
export interface Gating {
  readonly kind: 'softmax' | 'sigmoid';
  /** Whether the reader divides weights by their sum; those of a softmax then need no other. */
  readonly renormalise: boolean;
  /** Experts lie in nGroups ≤ 32 equal groups, of which the best nGroupsUsed may be chosen from; null: all may. */
  readonly groups: { readonly nGroups: number; readonly nGroupsUsed: number } | null;
  /** [nExperts], added to probabilities for the choice alone. */
  readonly bias: BufferView | null;
}

export const SOFTMAX: Gating = { kind: 'softmax', renormalise: true, groups: null, bias: null };

export interface PagedSlots {
  /** [nLayers, nExperts] slot or ABSENT. */
  readonly pageTable: BufferView;
  readonly fault: BufferView;
}

/**
 * The nExpertsUsed experts with the greatest scores, their weights and, paged, their slots; an ABSENT lowers the fault
 * flag. With `SOFTMAX`, scores are logits and weights exp(logit − max); else scores are probabilities, biased and within
 * groups, and weights probabilities.
 */
export function route(rec: Recorder, a: RouteArgs): void {
  const { nExperts, nExpertsUsed, ids, weights } = a.route;
  const gating = a.gating ?? SOFTMAX;
  const { groups, bias } = gating;
  const paged =
    a.slots === 'later' ? null : { pageTable: a.slots.pageTable, slots: a.route.slots, faultFlag: a.slots.fault };
  rec.dispatch({
    shader: routeWgsl,
    parts: {
      slots: paged ? slotsPaged : slotsLater,
      gating: gating.kind === 'softmax' ? gatingSoftmax : gatingSigmoid,
      bias: bias ? biasSelection : biasNone,
      choice: choiceOf(gating),
    },
    bindings: { logits: a.logits, ids, routeWeights: weights, ...paged, ...(bias ? { selectionBias: bias } : {}) },
    params: {
      nExperts,
      nExpertsUsed,
      nGroups: groups?.nGroups ?? 1,
      nGroupsUsed: groups?.nGroupsUsed ?? 1,
      logitStride: a.logitStride,
      layer: a.layer,
      allStage: denseStage(a.layer),
      absent: ABSENT,
    },
    workgroups: [Math.ceil(nExperts / 16), a.nTokens],
  });
}

function choiceOf({ kind, renormalise, groups, bias }: Gating): ShaderPart {
  if (groups) return choiceGroups;
  return kind === 'softmax' && renormalise && !bias ? choiceLogits : choiceAll;
}
