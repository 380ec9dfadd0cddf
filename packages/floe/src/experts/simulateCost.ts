/**
 * What absent experts cost in time, in closed form. A layer's experts can't start before its route was read back (L),
 * its absent experts were copied (uc each, beside the GPU's work) and written in the queue (ug each); a schedule decides
 * what the GPU does meanwhile. docs/routing.md derives the formulas.
 */

/** Measured times of one layer and of the ways between host and GPU, all in milliseconds. */
export interface LayerCosts {
  /** Attention and the dense feed-forward (a). */
  readonly denseMs: number;
  /** The routed experts, once they are there (e). */
  readonly expertsMs: number;
  /** The router (g). */
  readonly routerMs: number;
  /** A layer whose kernels all fall through (dr). */
  readonly skippedMs: number;
  /** From the end of a submission to its bytes on the host (L). */
  readonly readBackMs: number;
  /** Of encoding and submitting a layer, before which it can't start (s). */
  readonly submitMs: number;
  /** Of bringing one expert from memory to the GPU: what runs beside the GPU's work (uc), */
  readonly uploadMs: number;
  /** and what takes the queue's own time (ug). */
  readonly uploadQueueMs: number;
  /** Whether the router reads the layer's input, as Arctic's: then the dense work hides waiting. */
  readonly routesFromInput: boolean;
}

/**
 * `'sync'`: each layer waits for its own route. `'whole'`: one submission a token, which falls through at a fault. Else how
 * many layers are submitted, one by one, ahead of the last known route: 0 is router first, with the dense work behind it.
 */
export type Schedule = 'sync' | 'whole' | number;

/** The least run-ahead that hides the way to the host and back behind the GPU's own work. */
export function leastRunAhead(costs: LayerCosts): number {
  const { readBackMs, submitMs } = costs;
  return Math.max(0, Math.ceil((readBackMs + submitMs - hiddenMs(costs)) / layerMs(costs)));
}

/** The GPU's own time of one layer (c = a + e + g). */
export function layerMs({ denseMs, expertsMs, routerMs }: LayerCosts): number {
  return denseMs + expertsMs + routerMs;
}

/** What one token takes beyond the GPU's own time, nLayers · c. `nMisses`: absent experts, by layer. */
export function stallMs(costs: LayerCosts, schedule: Schedule, nMisses: ArrayLike<number>): number {
  const waitMs = costs.readBackMs + costs.submitMs;
  const { uploadMs, uploadQueueMs, skippedMs } = costs;
  const nLayers = nMisses.length;
  // For the token's own id; and nothing runs before the first submission is encoded.
  let sum = schedule === 'whole' ? costs.readBackMs + nLayers * costs.submitMs : waitMs;
  for (let layer = 0; layer < nLayers; layer++) {
    const copyMs = nMisses[layer]! * uploadMs;
    sum += nMisses[layer]! * uploadQueueMs;
    if (schedule === 'sync') sum += waitMs + copyMs;
    else if (schedule === 'whole')
      sum += nMisses[layer]! > 0 ? (nLayers - layer) * (skippedMs + costs.submitMs) + costs.readBackMs + copyMs : 0;
    else if (nMisses[layer] === 0) sum += unhiddenMs(costs, schedule);
    else if (schedule >= nLayers) sum += (nLayers - layer) * skippedMs + waitMs + copyMs;
    else sum += Math.max(schedule * skippedMs, waitMs + copyMs - hiddenMs(costs));
  }
  return sum;
}

/**
 * What a layer without a miss waits if too few are ahead: between a router and the experts n layers on lie n layers, the
 * dense work and n + 1 such waits, and together they last as long as the way to the host and back.
 */
function unhiddenMs(costs: LayerCosts, nAhead: number): number {
  const shortMs = costs.readBackMs + costs.submitMs - hiddenMs(costs) - nAhead * layerMs(costs);
  return Math.max(0, shortMs) / (nAhead + 1);
}

/** What the GPU does between a layer's router and its experts. */
function hiddenMs({ denseMs, routesFromInput }: LayerCosts): number {
  return routesFromInput ? denseMs : 0;
}
