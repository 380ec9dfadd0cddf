/** What must hold of two visits to one virtual model at two budgets. */
import type { VirtualModel } from '@floe/testkit/virtualModel';
import type { PositionLogprobs } from 'floe';
import type { Visit } from './realSizeVisit.ts';
import { type Check, round } from './report.ts';

export interface BoundCheck extends Check {
  readonly relation: '≥' | '≤';
}

/**
 * What the worker may hold beside its memory budget: an expert that arrives in parts and the record it is packed to, a
 * copy on its way to the store and one to the GPU, and everything else.
 */
const HEAP_MARGIN_EXPERTS = 4;
const HEAP_MARGIN_BYTES = 64e6;
/** The first request for a header, and what is read beside it. */
const PROBE_BYTES = 2 * 2 ** 20;
/** Two f32 sums of some 7,000 terms in different orders, through every matrix of a layer; logits spread by 2. */
const REFERENCE_TOLERANCE = 2e-3;

/** @param reference float64 logits behind each id of the first prompt; null to leave them out. */
export function checksOf(
  model: VirtualModel,
  visits: readonly Visit[],
  reference: readonly Float64Array[] | null,
): BoundCheck[] {
  const [first, second] = visits as [Visit, Visit];
  const [one, two] = first.distributions.map((positions) => positions.map(byId)) as [Float64Array[], Float64Array[]];
  const all = visits.flatMap(({ distributions }) => distributions.flat().map(byId));
  return [
    atMost('log-probabilities that differ between the budgets', differing(first, second), 0),
    atMost(
      'log-probabilities that are not finite',
      count(all, (value) => !Number.isFinite(value)),
      0,
    ),
    atLeast('least deviation within a distribution', Math.min(...all.map(deviation)), 0.5),
    atLeast('deviation between the two prompts', deviation(difference(one.at(-1)!, two.at(-1)!)), 0.5),
    ...(reference
      ? [atMost('furthest from the float64 reference', distance(one, reference), REFERENCE_TOLERANCE)]
      : []),
    ...visits.flatMap((visit) => withinBudget(model, visit)),
    atMost('bytes fetched for the first', first.fetchedBytes, mostFetched(model, first)),
    atMost('bytes fetched again for the second', second.fetchedBytes, PROBE_BYTES),
  ];
}

function withinBudget({ expertBytes }: VirtualModel, { budget, gpuBytes, heapPeak }: Visit): BoundCheck[] {
  const at = `GPU ${Math.round(budget.gpuBytes / 1e6)} MB`;
  const margin = HEAP_MARGIN_EXPERTS * expertBytes + HEAP_MARGIN_BYTES;
  return [
    atMost(`${at}: bytes on the GPU`, gpuBytes, budget.gpuBytes),
    atMost(
      `${at}: the worker's heap and buffers at the most`,
      heapPeak.usedBytes + heapPeak.backingBytes,
      budget.memoryBytes + margin,
    ),
    // A watch that saw nothing has shown nothing.
    atLeast(`${at}: times the worker's heap was looked at`, heapPeak.nSamples, 10),
  ];
}

/** All but the experts once, and an expert for each that a token was sent to, had no two tokens one in common. */
function mostFetched({ sizeBytes, nLayers, shape, expertBytes }: VirtualModel, { answers }: Visit): number {
  const denseBytes = sizeBytes - nLayers * shape.nExperts * expertBytes;
  // The last id of an answer is sampled and goes no further.
  const nRun = answers.reduce((sum, { promptIds, ids }) => sum + promptIds.length + ids.length - 1, 0);
  return denseBytes + Math.min(nRun * shape.nExpertsUsed, shape.nExperts) * nLayers * expertBytes + PROBE_BYTES;
}

/** Log-probabilities that are not the same double in both, missing and misplaced ones too; and sampled ids. */
function differing(a: Visit, b: Visit): number {
  const flat = ({ distributions, answers }: Visit) => [
    ...distributions.flatMap((positions) => positions.flatMap(({ top }) => top.flat())),
    ...answers.flatMap(({ ids }) => ids),
  ];
  const [left, right] = [flat(a), flat(b)];
  const n = left.filter((value, i) => !Object.is(value, right[i])).length;
  return n + Math.abs(left.length - right.length);
}

/** As an array by id, of length `nVocab`. */
function byId({ top }: PositionLogprobs): Float64Array {
  const values = new Float64Array(top.length).fill(Number.NaN);
  for (const [id, logprob] of top) values[id] = logprob;
  return values;
}

function distance(found: readonly Float64Array[], logits: readonly Float64Array[]): number {
  return Math.max(
    ...logits.map((row, t) => {
      const logSum = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
      return Math.max(...row.map((logit, id) => Math.abs(logit - logSum - found[t]![id]!)));
    }),
  );
}

function difference(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - b[i]!);
}

function deviation(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

function count(rows: readonly Float64Array[], is: (value: number) => boolean): number {
  return rows.reduce((sum, row) => sum + row.filter(is).length, 0);
}

/** NaN is neither at least nor at most anything. */
function atLeast(name: string, value: number, bound: number): BoundCheck {
  return { name, value: shown(value), relation: '≥', bound, ok: value >= bound };
}

function atMost(name: string, value: number, bound: number): BoundCheck {
  return { name, value: shown(value), relation: '≤', bound, ok: value <= bound };
}

/** Counts as they are, measures to three digits. */
function shown(value: number): number {
  return Number.isInteger(value) ? value : round(value);
}
