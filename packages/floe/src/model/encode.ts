/** The forward pass of texts that are wanted as vectors: layer by layer over all of a text, for its tokens may see ahead. */
import type { BufferView, Recorder } from '../gpu/index.ts';
import { denseStage } from '../kernels/index.ts';
import type { KvPool } from '../kv/index.ts';
import type { Activations } from './activations.ts';
import { appendKeys, attendKeys } from './attend.ts';
import { feedForward } from './block.ts';
import { recordInput } from './input.ts';
import { normed } from './norm.ts';
import type { PlacedModel } from './place.ts';
import type { LayerStep } from './step.ts';

/** Where the parts of a recorded chunk lie among its dispatches. */
export interface TextCuts {
  /** Up to here, the layers' input is made. */
  readonly input: number;
  readonly layers: readonly TextLayerCuts[];
  /** Where the last layer leaves its rows; the others leave them in the residual stream. */
  readonly output: BufferView;
}

/** From `keys` on, the layer's queries, keys and values; from `queries` to `end`, what needs the whole text's keys. */
export interface TextLayerCuts {
  readonly keys: number;
  readonly queries: number;
  readonly end: number;
}

/**
 * Records a chunk of a text of `nText` tokens. `kv` holds one layer's keys and values at a time: each layer runs over all
 * chunks before the next one does.
 */
export function recordText(
  rec: Recorder,
  model: PlacedModel,
  kv: KvPool,
  s: Activations,
  nTokens: number,
  nText: number,
): TextCuts {
  const lastKey = model.plan.description.attention.causal ? 0 : nText - 1;
  const oneLayer = { window: kv.window, layer: (_: number, places: BufferView) => kv.layer(0, places) };
  recordInput(rec, model, s, nTokens);
  const input = rec.nRecorded;
  const layers = model.layers.map((w, layer) => {
    const step: LayerStep = { rec, model, layer, routedLayer: 0, w, kv: oneLayer, s, nTokens };
    const keys = rec.nRecorded;
    appendKeys(step);
    const queries = rec.nRecorded;
    attendKeys(step, lastKey);
    feedForward(step);
    return { keys, queries, end: rec.nRecorded };
  });
  const output = normed({ rec, model, s, nTokens, stage: denseStage(0) }, s.x, model.outputNorm, s.h); // [T, modelDim]
  const last = { ...layers.at(-1)!, end: rec.nRecorded };
  return { input, layers: [...layers.slice(0, -1), last], output };
}
