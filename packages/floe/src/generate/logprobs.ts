import { NumericError, throwIfAborted } from '../errors/index.ts';
import type { Runner } from './runner.ts';

/** For each position of `ids`, the `top` likeliest ids that could follow, with natural log-probabilities (softmax in float64). */
export async function topLogprobs(
  runner: Runner,
  ids: readonly number[],
  top: number,
  signal: AbortSignal | undefined,
): Promise<[id: number, logprob: number][][]> {
  runner.rewind(0);
  const positions: [number, number][][] = [];
  for await (const logits of runner.logits(ids, () => throwIfAborted(signal))) {
    positions.push(topOf(logits, top, positions.length));
  }
  return positions;
}

function topOf(logits: Float32Array, top: number, position: number): [number, number][] {
  let greatest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) greatest = Math.max(greatest, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - greatest);
  const logSum = greatest + Math.log(sum);
  if (!Number.isFinite(logSum)) {
    throw new NumericError('numeric/not-finite', `The logits after position ${position} are not finite.`, {
      remedy:
        'The weights are damaged, or overflow in this quantization. Download the model again or take another file.',
      details: { position },
    });
  }
  // Ties: the lower id first, as the sampler has it.
  const ids = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  return ids.slice(0, top).map((id) => [id, logits[id]! - logSum]);
}
