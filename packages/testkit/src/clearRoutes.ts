/**
 * Routers whose choice no rounding changes. As many kinds of tokens as experts make sets of those that are used together:
 * a token's embedding says its kind loudly, and each layer's router listens to it. What it says beside that weighs the experts.
 */
import type { TensorInput } from './ggufWriter.ts';

export interface KindsOptions {
  readonly nLayers: number;
  readonly nExperts?: number;
  readonly nExpertsUsed?: number;
}

/** About what experts score for tokens of their kind, and less than 0 for all others: a sigmoid of it is far from 1 and 0. */
const SCORE = 4.5;
/** What is left of the kind's loudness where a router reads, normed and with what layers added to it. */
const HEARD = 0.65;

/** Rows of `[nVocab, D]` that say the kind of their token, which is its id's remainder. */
export function sayingKinds(embedding: TensorInput, deviation: number, options: KindsOptions): TensorInput {
  const D = embedding.shape.at(-1)!;
  const nKinds = nKindsOf(options);
  // About as much as a layer's two branches add, of a deviation of 1 each, in all layers together.
  const loudness = Math.sqrt(2 * options.nLayers);
  const data = embedding.data.map((weight, i) => {
    const kind = Math.floor(i / D) % nKinds;
    return weight + loudness * deviation * signOf(kind, i % D);
  });
  return { ...embedding, data };
}

/** A layer's router `[nExperts, D]` that listens to kinds; each layer has other experts for a kind. */
export function hearingKinds(router: TensorInput, layer: number, options: KindsOptions): TensorInput {
  const D = router.shape.at(-1)!;
  const nKinds = nKindsOf(options);
  const data = router.data.map((weight, i) => {
    const own = (Math.floor(i / D) + layer) % nKinds;
    let heard = signOf(own, i % D);
    for (let kind = 0; kind < nKinds; kind++) heard -= signOf(kind, i % D) / 2;
    return weight + ((2 * SCORE) / (HEARD * D)) * heard;
  });
  return { ...router, data };
}

function nKindsOf({ nExperts = 0, nExpertsUsed = 2 }: KindsOptions): number {
  const nKinds = Math.floor(nExperts / nExpertsUsed);
  if (nKinds < 2) throw new Error('routes are chosen between two sets of experts at least');
  return nKinds;
}

/** Element i of a kind's direction: rows of Walsh's matrix, at right angles to each other in widths that kinds divide. */
function signOf(kind: number, i: number): number {
  let bits = i & (kind + 1);
  let sign = 1;
  for (; bits > 0; bits >>= 1) if (bits & 1) sign = -sign;
  return sign;
}
