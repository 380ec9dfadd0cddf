/**
 * Routes as real models have them, made from a seed. Uniform routing would make every cache policy equal: its hit rate
 * is its share of the slots. Real routers repeat themselves, within a phrase and within a topic; docs/routing.md says
 * to which recorded figures each recipe is fitted.
 *
 * The logit of expert e in layer l for token t is
 *   -zipf · ln(rank(l, e)) + topicScale · topic(k(t), l, e) + moodScale · mood(l, e, t) + noise,
 * where rank is a random order of each layer's experts; topic is one of 12 tables of normal numbers, which all layers
 * leave together for a random one with probability 1/300 at each token, so that misses come in bursts; mood follows
 * mood' = r · mood + sqrt(1 - r²) · normal; noise is normal. The route is the top k, its weights their softmax.
 */
import { type SeededNormals, seededNormals } from './seededNormals.ts';
import { DECODE, emptyTrace, PROMPT, type Trace, type TraceShape } from './trace.ts';

/** A model's shape and how its router repeats itself. */
export interface TraceRecipe {
  readonly model: string;
  readonly nLayers: number;
  readonly nExperts: number;
  readonly nExpertsUsed: number;
  /** Of one expert, in each layer. */
  readonly slotBytes: number;
  /** How unequal experts are for good. */
  readonly zipf: number;
  readonly topicScale: number;
  readonly moodScale: number;
  /** The r of the mood: how much of it one token leaves to the next. */
  readonly moodKept: number;
}

const N_TOPICS = 12;
/** Mean tokens of a topic. */
const TOPIC_TOKENS = 300;

const q4_0Bytes = (nWeights: number): number => (nWeights / 32) * 18;
const arctic = { nLayers: 35, nExperts: 128, nExpertsUsed: 2, slotBytes: q4_0Bytes(3 * 7168 * 4864) };

/** Named recipes; slots are of Q4_0. Nobody has published Arctic's routing, so it has three: what would be bad, likely and good. */
export const TRACE_RECIPES = {
  'arctic-flat': { model: 'arctic-flat', ...arctic, zipf: 0.15, topicScale: 0.45, moodScale: 0.5, moodKept: 0.8 },
  'arctic-mid': { model: 'arctic-mid', ...arctic, zipf: 0.5, topicScale: 0.9, moodScale: 0.9, moodKept: 0.8 },
  'arctic-hot': { model: 'arctic-hot', ...arctic, zipf: 0.5, topicScale: 1.6, moodScale: 1, moodKept: 0.95 },
  mixtral: {
    ...{ model: 'mixtral', nLayers: 32, nExperts: 8, nExpertsUsed: 2, slotBytes: q4_0Bytes(3 * 4096 * 14336) },
    ...{ zipf: 0.15, topicScale: 0.3, moodScale: 0.4, moodKept: 0.7 },
  },
  qwen3: {
    ...{ model: 'qwen3', nLayers: 48, nExperts: 128, nExpertsUsed: 8, slotBytes: q4_0Bytes(3 * 2048 * 768) },
    ...{ zipf: 0.5, topicScale: 1.1, moodScale: 0.8, moodKept: 0.9 },
  },
  olmoe: {
    ...{ model: 'olmoe', nLayers: 16, nExperts: 64, nExpertsUsed: 8, slotBytes: q4_0Bytes(3 * 2048 * 1024) },
    ...{ zipf: 0.3, topicScale: 0.65, moodScale: 0.6, moodKept: 0.8 },
  },
} as const satisfies Readonly<Record<string, TraceRecipe>>;

export type TraceRecipeName = keyof typeof TRACE_RECIPES;

/**
 * `nTokens` tokens by `recipe`, the same for the same `seed`. Costs two normal numbers for each token and expert: half
 * a second for a thousand tokens of Arctic.
 *
 * @param options.nPromptTokens  How many of them, from the first, are marked as a prompt. Default 0.
 */
export function generateTrace(
  recipe: TraceRecipe,
  { nTokens, seed, nPromptTokens = 0 }: { nTokens: number; seed: number; nPromptTokens?: number },
): Trace {
  const { nLayers, nExperts, nExpertsUsed } = recipe;
  const trace = emptyTrace(shapeOf(recipe), nTokens);
  trace.phases.fill(DECODE).fill(PROMPT, 0, nPromptTokens);
  const nextLogits = router(recipe, seededNormals(seed));
  for (let token = 0; token < nTokens; token++) {
    const logits = nextLogits();
    for (let layer = 0; layer < nLayers; layer++) {
      const at = (token * nLayers + layer) * nExpertsUsed;
      const ofLayer = logits.subarray(layer * nExperts, (layer + 1) * nExperts);
      chooseTop(ofLayer, trace.ids.subarray(at, at + nExpertsUsed));
      softmaxOfChosen(ofLayer, trace.ids, trace.weights, at, nExpertsUsed);
    }
  }
  return trace;
}

function shapeOf({ model, nLayers, nExperts, nExpertsUsed, slotBytes }: TraceRecipe): TraceShape {
  return { model, nLayers, nExperts, nExpertsUsed, slotBytes: Array<number>(nLayers).fill(slotBytes) };
}

/** Gives the logits [nLayers, nExperts] of one token after another, in an array of its own. */
function router(recipe: TraceRecipe, { uniform, normal }: SeededNormals): () => Float64Array {
  const { nLayers, nExperts, topicScale, moodScale, moodKept } = recipe;
  const n = nLayers * nExperts;
  const normals = (): Float64Array => Float64Array.from({ length: n }, normal);
  const fixed = new Float64Array(n);
  for (let layer = 0; layer < nLayers; layer++) {
    for (const [expert, rank] of shuffled(nExperts, uniform).entries()) {
      fixed[layer * nExperts + expert] = -recipe.zipf * Math.log(rank + 1);
    }
  }
  const topics = Array.from({ length: N_TOPICS }, normals);
  const mood = normals();
  const moodNew = Math.sqrt(1 - moodKept ** 2);
  const logits = new Float64Array(n);
  const anyTopic = () => topics[Math.floor(uniform() * N_TOPICS)]!;
  let topic = anyTopic();
  return () => {
    if (uniform() < 1 / TOPIC_TOKENS) topic = anyTopic();
    for (let i = 0; i < n; i++) {
      mood[i] = moodKept * mood[i]! + moodNew * normal();
      logits[i] = fixed[i]! + topicScale * topic[i]! + moodScale * mood[i]! + normal();
    }
    return logits;
  };
}

/** 0 … n - 1 in a random order (Fisher and Yates). */
function shuffled(n: number, uniform: () => number): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(uniform() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** The ids of the greatest logits, the greatest first; of equals the lower id. */
function chooseTop(logits: Float64Array, ids: Uint16Array): void {
  let nChosen = 0;
  for (let expert = 0; expert < logits.length; expert++) {
    let rank = nChosen;
    while (rank > 0 && logits[expert]! > logits[ids[rank - 1]!]!) rank--;
    if (rank === ids.length) continue;
    ids.copyWithin(rank + 1, rank, ids.length - 1);
    ids[rank] = expert;
    nChosen = Math.min(nChosen + 1, ids.length);
  }
}

function softmaxOfChosen(logits: Float64Array, ids: Uint16Array, weights: Float32Array, at: number, n: number): void {
  // The first is the greatest, so no exponential overflows.
  const greatest = logits[ids[at]!]!;
  let sum = 0;
  for (let i = at; i < at + n; i++) sum += Math.exp(logits[ids[i]!]! - greatest);
  for (let i = at; i < at + n; i++) weights[i] = Math.exp(logits[ids[i]!]! - greatest) / sum;
}
