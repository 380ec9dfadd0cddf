/** What the routing of a step's tokens was, gathered layer by layer as the host learns it. */
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

/** One token's routing: [nLayers · nExpertsUsed], in rank order. */
export interface TokenRoutes {
  readonly ids: Uint16Array;
  readonly weights: Float32Array;
}

export class StepRoutes {
  /** By row. */
  readonly tokens: readonly TokenRoutes[];

  constructor(
    private readonly experts: ExpertCache,
    nRows: number,
  ) {
    const { nLayers, nExpertsUsed } = experts.size;
    const n = nLayers * nExpertsUsed;
    this.tokens = Array.from({ length: nRows }, () => ({ ids: new Uint16Array(n), weights: new Float32Array(n) }));
  }

  /** Keeps and counts a layer's choice; by row and rank what became of it. */
  note(layer: number, { ids, weights, slots }: LayerRoutes): Routed[] {
    const k = this.experts.size.nExpertsUsed;
    return this.tokens.flatMap((token, row) => {
      const [from, to] = [row * k, (row + 1) * k];
      const of = { ids: ids.subarray(from, to), weights: weights.subarray(from, to), slots: slots.subarray(from, to) };
      token.ids.set(of.ids, layer * k);
      token.weights.set(of.weights, layer * k);
      return this.count(layer, of);
    });
  }

  /** The tokens are done: the policy's clock goes on. */
  ended(): void {
    this.experts.token += this.tokens.length;
    this.experts.counts.nTokens += this.tokens.length;
  }

  private count(layer: number, { ids, weights, slots }: Omit<LayerRoutes, 'guess'>): Routed[] {
    const { experts } = this;
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return Array.from(ids, (expert, rank) => {
      const key = experts.keyOf(layer, expert);
      const isAbsent = slots[rank] === ABSENT;
      const byGuess = experts.routed(layer, key, !isAbsent);
      return { key, isAbsent, wasAbsent: isAbsent || byGuess, weight: weights[rank]!, share: weights[rank]! / sum };
    });
  }
}
