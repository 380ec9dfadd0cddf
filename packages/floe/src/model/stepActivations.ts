/** What a decode step writes beside what every forward pass does: a row for each conversation that shares it. */
import { BINDING_ALIGNMENT, type BufferView, type Device, roundUp } from '../gpu/index.ts';
import type { Route, SinkWindow } from '../kernels/index.ts';
import { rowStride } from '../quant/index.ts';
import { type Activations, activationBytes, makeActivations, makeBuffers } from './activations.ts';
import type { ModelPlan } from './plan.ts';
import type { StepSizes } from './stepSizes.ts';

/** Conversations in one step at the most: as many tokens as are computed by the kernels of few. */
export const STEP_ROWS = 8;

/** Parts of a layer's routing of a step: ids, weights, slots, a guess at a later layer's ids. */
export const ROUTING_PARTS = 4;

export interface StepActivations extends Activations {
  /** Null where the model has no experts. */
  readonly routing: StepRouting | null;
}

/** What each layer with experts chose, kept until the host has read it. R rows. */
export interface StepRouting {
  /** Layer after layer: [R, k] ids, weights, slots and guesses, `partBytes` apart. */
  readonly buffer: BufferView;
  readonly partBytes: number;
  /** Layers as the kernels bind them: each pair goes by itself, so that a row's bits are its own. */
  readonly routes: readonly Route[];
  /** Where layer l puts its guess. */
  readonly guesses: readonly Route[];
  readonly guessLogits: BufferView;
}

/** Row counts of a step's buffers. */
export function decodeSizes(window: SinkWindow): StepSizes {
  return { chunkTokens: STEP_ROWS, spanTokens: STEP_ROWS, logitRows: STEP_ROWS, window };
}

/** The bytes of every buffer `makeStepActivations` makes, by name. */
export function stepActivationBytes(plan: ModelPlan, window: SinkWindow): Readonly<Record<string, number>> {
  return { ...activationBytes(plan, decodeSizes(window)), ...routingBytes(plan) };
}

export function makeStepActivations(device: Device, plan: ModelPlan, window: SinkWindow): StepActivations {
  const s = makeActivations(device, plan, decodeSizes(window));
  const made = makeBuffers(device, routingBytes(plan));
  return {
    ...s,
    routing: s.experts && stepRouting(plan, s.experts.chunkRoute, made),
    destroy: () => {
      s.destroy();
      for (const { buffer } of made.values()) device.buffers.destroy(buffer);
    },
  };
}

function routingBytes({ shape }: ModelPlan): Readonly<Record<string, number>> {
  if (shape.nRoutedLayers === 0) return {};
  return {
    routing: shape.nRoutedLayers * ROUTING_PARTS * partBytes(shape.nExpertsUsed),
    guessLogits: roundUp(STEP_ROWS * rowStride(shape.nExperts) * 4, BINDING_ALIGNMENT),
  };
}

function partBytes(nExpertsUsed: number): number {
  return roundUp(STEP_ROWS * nExpertsUsed * 4, BINDING_ALIGNMENT);
}

/** `scratch`: where what nobody reads of a guess goes. */
function stepRouting({ shape }: ModelPlan, scratch: Route, made: ReadonlyMap<string, BufferView>): StepRouting {
  const { nRoutedLayers, nExperts, nExpertsUsed } = shape;
  const buffer = made.get('routing')!;
  const sizeBytes = partBytes(nExpertsUsed);
  const layers = Array.from({ length: nRoutedLayers }, (_, layer) => layer);
  const unsorted = { starts: null, sorted: null, nExperts, nExpertsUsed };
  const at = (layer: number, part: number): BufferView => ({
    buffer: buffer.buffer,
    offset: (ROUTING_PARTS * layer + part) * sizeBytes,
    sizeBytes,
  });
  return {
    buffer,
    partBytes: sizeBytes,
    routes: layers.map((layer) => ({
      ...unsorted,
      ids: at(layer, 0),
      weights: at(layer, 1),
      slots: at(layer, 2),
    })),
    guesses: layers.map((layer) => ({
      ...unsorted,
      ids: at(layer, 3),
      weights: scratch.weights,
      slots: scratch.slots,
    })),
    guessLogits: made.get('guessLogits')!,
  };
}
