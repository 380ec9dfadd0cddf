/** What the one mode that is not exact costs: experts left out instead of waited for (docs/paging.md). */
import { klDivergence } from './logprobs.ts';
import type { Runner } from './runner.ts';

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
 * row of logits for each id.
 */
export async function measureLoss(runner: Runner, ids: readonly number[], signal?: AbortSignal): Promise<LossyCost> {
  const { counts, size } = runner.model.experts!;
  const before = { dropped: counts.dropped, droppedMass: counts.droppedMass };
  const lossy: Float32Array[] = [];
  for await (const logits of runner.replay(ids, signal)) lossy.push(logits);
  const [dropped, mass] = [counts.dropped - before.dropped, counts.droppedMass - before.droppedMass];
  let kl = 0;
  let n = 0;
  const { dropBelow } = runner.decoder;
  runner.decoder.dropBelow = 0;
  try {
    for await (const logits of runner.replay(ids, signal)) kl += klDivergence(logits, lossy[n++]!);
  } finally {
    runner.decoder.dropBelow = dropBelow;
  }
  const nRouted = n * size.nLayers * size.nExpertsUsed;
  return { nTokens: n, nRouted, dropped, droppedMass: mass / (n * size.nLayers), meanKl: kl / n };
}
