import { NumericError, throwIfAborted } from '../errors/index.ts';
import type { Conversation } from './conversation.ts';

/** What could follow a prefix, in natural log-probabilities (softmax in float64). */
export interface Logprobs {
  /** The likeliest ids, in falling order; of equals the lower id first, as the sampler has it. */
  readonly top: [id: number, logprob: number][];
  /** Of the id that does follow. Null behind the last. */
  readonly next: number | null;
}

/** For each position of `ids`, the `top` likeliest ids that could follow, and how likely the next one was. */
export async function topLogprobs(
  conversation: Conversation,
  ids: readonly number[],
  top: number,
  signal: AbortSignal | undefined,
): Promise<Logprobs[]> {
  conversation.rewind(0);
  const positions: Logprobs[] = [];
  for await (const logits of conversation.logits(ids, () => throwIfAborted(signal))) {
    const position = positions.length;
    const logSum = logSumExp(logits, position);
    const next = ids[position + 1];
    positions.push({
      top: likeliest(logits, top).map((id) => [id, logits[id]! - logSum]),
      next: next === undefined ? null : logits[next]! - logSum,
    });
  }
  return positions;
}

function logSumExp(logits: Float32Array, position: number): number {
  let greatest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) greatest = Math.max(greatest, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - greatest);
  const logSum = greatest + Math.log(sum);
  if (Number.isFinite(logSum)) return logSum;
  throw new NumericError('numeric/not-finite', `The logits after position ${position} are not finite.`, {
    remedy: 'The weights are damaged, or overflow in this quantization. Download the model again or take another file.',
    details: { position },
  });
}

/** KL(p || q) in nats of the distributions of two rows of logits, in float64. */
export function klDivergence(p: Float32Array, q: Float32Array): number {
  const [pSum, qSum] = [logSumExp(p, 0), logSumExp(q, 0)];
  let divergence = 0;
  for (let id = 0; id < p.length; id++) {
    const logprob = p[id]! - pSum;
    divergence += Math.exp(logprob) * (logprob - (q[id]! - qSum));
  }
  return divergence;
}

/** Up to here, inserting each id among the likeliest so far is cheaper than sorting a vocabulary. */
const FEW = 64;

/** The ids of the `top` greatest logits in falling order, of equals the lower id first. */
export function likeliest(logits: Float32Array, top: number): number[] {
  if (top > FEW) {
    const byLogit = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
    return byLogit.slice(0, top);
  }
  const ids: number[] = [];
  for (let id = 0; id < logits.length && top > 0; id++) {
    const logit = logits[id]!;
    if (ids.length === top && logit <= logits[ids[top - 1]!]!) continue;
    // Ids come in rising order, so one that is equal belongs behind.
    let place = ids.length;
    while (place > 0 && logits[ids[place - 1]!]! < logit) place--;
    ids.splice(place, 0, id);
    if (ids.length > top) ids.pop();
  }
  return ids;
}
