import type { ModelDescription, RopeScaling, RopeTable } from './architecture.ts';

/** How a table's pairs of dimensions turn. */
export interface RopeFrequencies {
  /** From one position to the next, [ropeDim / 2] radians. */
  readonly turns: Float64Array;
  /** What cosines and sines are multiplied by. */
  readonly magnitude: number;
}

/** Tensors of the file that divide the frequencies, each [ropeDim / 2]. */
export interface RopeDivisors {
  /** Llama 3.1's. */
  readonly always: Float32Array | null;
  /** LongRoPE's, within the original context and beyond it. */
  readonly short: Float32Array | null;
  readonly long: Float32Array | null;
}

/** What of a placed model says how it turns. */
export interface RopedModel {
  readonly plan: { readonly description: Pick<ModelDescription, 'rope' | 'shape'> };
  readonly ropeDivisors: RopeDivisors;
}

/** The frequencies of each of a model's tables, for conversations of at most `nCtx` positions. */
export function ropeTablesOf(model: RopedModel, nCtx: number): RopeFrequencies[] {
  const { rope, shape } = model.plan.description;
  return rope.tables.map((table) => ropeFrequencies(table, shape.ropeDim, model.ropeDivisors, nCtx));
}

/** The frequencies of one table. */
export function ropeFrequencies(
  { base, scaling }: RopeTable,
  ropeDim: number,
  divisors: RopeDivisors,
  nCtx: number,
): RopeFrequencies {
  const divisor = divisorsOf(scaling, divisors, nCtx);
  const turns = Float64Array.from({ length: ropeDim / 2 }, (_, pair) => {
    const turn = base ** ((-2 * pair) / ropeDim) / (divisor?.[pair] ?? 1);
    const slowed = turn / scaling.factor;
    if (scaling.kind !== 'yarn') return slowed;
    const kept = keptShare(scaling, base, ropeDim, pair);
    return slowed * (1 - kept) + turn * kept;
  });
  return { turns, magnitude: scaling.magnitude };
}

function divisorsOf(scaling: RopeScaling, { always, short, long }: RopeDivisors, nCtx: number): Float32Array | null {
  if (scaling.kind !== 'longrope') return always;
  return nCtx > scaling.nCtxOriginal ? long : short;
}

/**
 * How much of a pair's frequency YaRN keeps (Peng et al. 2023, section 3.2): all of it where the pair turns more than
 * `betaFast` times in the original context, nothing where less than `betaSlow` times, in between a ramp.
 */
function keptShare(scaling: RopeScaling & { kind: 'yarn' }, base: number, ropeDim: number, pair: number): number {
  const pairThatTurns = (times: number) =>
    (ropeDim * Math.log(scaling.nCtxOriginal / (times * 2 * Math.PI))) / (2 * Math.log(base));
  const low = Math.max(0, Math.floor(pairThatTurns(scaling.betaFast)));
  const high = Math.min(ropeDim - 1, Math.ceil(pairThatTurns(scaling.betaSlow)));
  return 1 - Math.min(1, Math.max(0, (pair - low) / Math.max(0.001, high - low)));
}

/**
 * Rotation angles of `places` as (cos, sin) pairs [n, ropeDim / 2]. Computed and reduced in
 * double precision: in f32 the angle of position 4,000,000 would be off by a quarter of a radian. Su et al. 2021.
 */
export function ropeAngles({ turns, magnitude }: RopeFrequencies, places: ArrayLike<number>): Float32Array {
  const n = places.length;
  const nPairs = turns.length;
  const out = new Float32Array(n * nPairs * 2);
  for (const [pair, turn] of turns.entries()) {
    for (let i = 0; i < n; i++) {
      const angle = places[i]! * turn;
      out[(i * nPairs + pair) * 2] = magnitude * Math.cos(angle);
      out[(i * nPairs + pair) * 2 + 1] = magnitude * Math.sin(angle);
    }
  }
  return out;
}
