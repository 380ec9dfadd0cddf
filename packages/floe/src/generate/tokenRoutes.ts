/** What one token's routing was, gathered layer by layer as the host learns it. */
import type { ExpertCache } from '../experts/index.ts';
import { ABSENT } from '../kernels/index.ts';
import type { LayerRoutes } from './stepDevice.ts';

/** One layer's choice as the cache counts it. */
export interface Routed {
  readonly key: number;
  readonly isAbsent: boolean;
  /** Or would have been, but for a guess. */
  readonly wasAbsent: boolean;
  /** Before the weights are divided by their sum, and behind that. */
  readonly weight: number;
  readonly share: number;
}

export class TokenRoutes {
  /** [nLayers · nExpertsUsed], in rank order. */
  readonly ids: Uint16Array;
  readonly weights: Float32Array;

  constructor(private readonly experts: ExpertCache) {
    const { nLayers, nExpertsUsed } = experts.size;
    this.ids = new Uint16Array(nLayers * nExpertsUsed);
    this.weights = new Float32Array(nLayers * nExpertsUsed);
  }

  /** Keeps and counts a layer's choice; by rank what became of it. */
  note(layer: number, { ids, weights, slots }: LayerRoutes): Routed[] {
    const { experts } = this;
    const { nExpertsUsed } = experts.size;
    this.ids.set(ids, layer * nExpertsUsed);
    this.weights.set(weights, layer * nExpertsUsed);
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return Array.from(ids, (expert, rank) => {
      const key = experts.keyOf(layer, expert);
      const isAbsent = slots[rank] === ABSENT;
      const byGuess = experts.routed(layer, key, !isAbsent);
      return { key, isAbsent, wasAbsent: isAbsent || byGuess, weight: weights[rank]!, share: weights[rank]! / sum };
    });
  }

  /** The token is done: the policy's clock goes on. */
  ended(): void {
    this.experts.token++;
    this.experts.counts.nTokens++;
  }
}
