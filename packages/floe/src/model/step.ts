import type { Recorder } from '../gpu/index.ts';
import { denseStage, type PagedSlots, type Route } from '../kernels/index.ts';
import type { KvPool } from '../kv/index.ts';
import type { Activations } from './activations.ts';
import type { PlacedModel } from './place.ts';
import type { PlacedLayer } from './placeLayer.ts';

/** Where and for how many tokens a dispatch is recorded. */
export interface Staged {
  readonly rec: Recorder;
  readonly model: PlacedModel;
  readonly s: Activations;
  readonly nTokens: number;
  readonly stage: number;
}

/** Everything a layer's parts need, by name. */
export interface LayerStep {
  readonly rec: Recorder;
  readonly model: PlacedModel;
  /** Its place among all layers, and how many with experts come before it: what routes, slots and stages count by. */
  readonly layer: number;
  readonly routedLayer: number;
  readonly w: PlacedLayer;
  readonly kv: Pick<KvPool, 'layer' | 'window'>;
  readonly s: Activations;
  readonly nTokens: number;
}

/** Where and for which pairs of tokens and experts. */
export interface ExpertStep {
  readonly rec: Recorder;
  readonly model: PlacedModel;
  readonly s: Activations;
  readonly w: PlacedLayer;
  readonly route: Route;
  readonly nTokens: number;
  readonly stage: number;
}

/** Where routes go, and where slots are looked up. */
export interface Routing {
  readonly route: Route;
  readonly slots: PagedSlots | 'later';
}

/** The step, at the stage of what needs none of the layer's experts. */
export function staged(step: LayerStep): LayerStep & Staged {
  return { ...step, stage: denseStage(step.routedLayer) };
}
