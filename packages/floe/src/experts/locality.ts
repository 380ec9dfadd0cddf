/** How much a routing repeats itself: what a cache lives on. */
import { NOT_ROUTED, type Trace } from './trace.ts';

/**
 * The share of routes whose expert the same layer used within the last `nTokens` tokens: 1 asks how many repeat at the
 * very next token. Routes of the first `nTokens` tokens are left out: they could not.
 */
export function shareReused(trace: Trace, nTokens: number): number {
  const { nLayers, nExperts, nExpertsUsed, ids } = trace;
  const usedAt = new Float64Array(nLayers * nExperts).fill(-Infinity);
  let nRoutes = 0;
  let nReused = 0;
  for (let token = 0; token < trace.nTokens; token++) {
    for (let i = 0; i < nLayers * nExpertsUsed; i++) {
      const expert = ids[token * nLayers * nExpertsUsed + i]!;
      if (expert === NOT_ROUTED) continue;
      const key = Math.floor(i / nExpertsUsed) * nExperts + expert;
      if (token >= nTokens) {
        nRoutes++;
        if (token - usedAt[key]! <= nTokens) nReused++;
      }
      usedAt[key] = token;
    }
  }
  return nReused / nRoutes;
}
