/** What the one mode that is not exact costs: experts left out instead of waited for (docs/paging.md). */
import type { Conversation } from './conversation.ts';
import type { Engine } from './engine.ts';
import { klDivergence } from './logprobs.ts';

/** What leaving experts out cost over a text. */
export interface LossyCost {
  readonly nTokens: number;
  readonly nRouted: number;
  readonly dropped: number;
  /** Share of the gates' weight that was left out, of all. */
  readonly droppedMass: number;
  /** Mean divergence KL(exact || lossy) of the distributions after each id but the first, in nats. */
  readonly meanKl: number;
}

/**
 * Puts `ids` through twice, token by token, with experts left out and with all, and compares what would follow. Holds a
 * row of logits for each id. Nothing else may be under way.
 */
export async function measureLoss(engine: Engine, ids: readonly number[], signal?: AbortSignal): Promise<LossyCost> {
  const conversation = engine.open();
  try {
    return await compare(engine, conversation, ids, signal);
  } finally {
    conversation.close();
  }
}

async function compare(
  { model, decoder }: Engine,
  conversation: Conversation,
  ids: readonly number[],
  signal: AbortSignal | undefined,
): Promise<LossyCost> {
  const { counts, size } = model.experts!;
  const before = { dropped: counts.dropped, droppedMass: counts.droppedMass };
  const lossy: Float32Array[] = [];
  for await (const logits of conversation.replay(ids, signal)) lossy.push(logits);
  const [dropped, mass] = [counts.dropped - before.dropped, counts.droppedMass - before.droppedMass];
  let kl = 0;
  let n = 0;
  const { dropBelow } = decoder;
  decoder.dropBelow = 0;
  try {
    for await (const logits of conversation.replay(ids, signal)) kl += klDivergence(logits, lossy[n++]!);
  } finally {
    decoder.dropBelow = dropBelow;
  }
  const nRouted = n * size.nLayers * size.nExpertsUsed;
  return { nTokens: n, nRouted, dropped, droppedMass: mass / (n * size.nLayers), meanKl: kl / n };
}
