/** Writes down which experts a model's tokens are routed to, for the simulator and benches; experts/trace.ts has the format. */
import { DECODE, encodeTraceShape, encodeTraceToken, NOT_ROUTED, PROMPT } from '../experts/index.ts';
import type { Engine } from '../generate/index.ts';

/**
 * Gives `onTrace` the bytes of a trace as it is made: its first line now, then each token. Of a prompt's tokens, weights
 * stay on the GPU and are 0 here. What listens to decoded tokens already goes on listening. A model without experts has
 * no trace.
 */
export function recordTrace(engine: Engine, model: string, onTrace: (bytes: Uint8Array) => void): void {
  const { shape, layers } = engine.model.plan;
  const { nRoutedLayers: nLayers, nExperts, nExpertsUsed } = shape;
  if (nLayers === 0) return;
  const slotBytes = layers.flatMap(({ experts }) => experts?.records[0]?.sizeBytes ?? []);
  onTrace(encodeTraceShape({ model, nLayers, nExperts, nExpertsUsed, slotBytes }));

  const { decoder } = engine;
  const { onRoutes } = decoder;
  decoder.onRoutes = (routes) => {
    onTrace(encodeTraceToken({ phase: DECODE, ids: routes.ids, weights: normalized(routes.weights, nExpertsUsed) }));
    onRoutes(routes);
  };

  // Layer by layer, all tokens of a span in each.
  let tokens: Uint16Array[] = [];
  const weights = new Float32Array(nLayers * nExpertsUsed);
  engine.prompts.onRoutes = (layer, _first, ids) => {
    const nTokens = ids.length / nExpertsUsed;
    if (layer === 0) {
      tokens = Array.from({ length: nTokens }, () => new Uint16Array(nLayers * nExpertsUsed).fill(NOT_ROUTED));
    }
    for (const [i, token] of tokens.entries()) {
      token.set(ids.subarray(i * nExpertsUsed, (i + 1) * nExpertsUsed), layer * nExpertsUsed);
    }
    if (layer < nLayers - 1) return;
    for (const token of tokens) onTrace(encodeTraceToken({ phase: PROMPT, ids: token, weights }));
  };
}

/** The router's kernel leaves the division by a layer's sum to who combines the experts. */
function normalized(weights: Float32Array, nExpertsUsed: number): Float32Array {
  return weights.map((weight, i) => {
    const first = i - (i % nExpertsUsed);
    return weight / weights.subarray(first, first + nExpertsUsed).reduce((sum, one) => sum + one, 0);
  });
}
