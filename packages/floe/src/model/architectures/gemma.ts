import type { Architecture, AttentionDescription } from '../architecture.ts';
import { type DecoderTraits, decoder, decoderSizes, feedForwardLength, mlpOf } from '../decoder.ts';
import type { Hyperparameters } from '../hyperparameters.ts';
import { ropeTable } from '../ropeScaling.ts';
import { slidingWindow } from '../window.ts';

const CAP = { min: 0, max: 1e6 };

/** What Gemma 2 and 3 share: a norm before and behind each branch, gelu, a scaled embedding that is the output too. */
function gemmaTraits(meta: Hyperparameters, nLayersOf27B: number): DecoderTraits & { attention: { scale: number } } {
  const { modelDim, nHeads, nLayers, headDim } = decoderSizes(meta);
  // The largest of each has scores scaled by the width of a head it would have if the heads filled the model.
  const scaledDim = nLayers === nLayersOf27B ? modelDim / nHeads : headDim;
  return {
    pairs: 'halves',
    norms: { afterAttention: 'post_attention_norm', afterFeedForward: 'post_ffw_norm' },
    embeddingScale: Math.fround(Math.sqrt(modelDim)),
    attention: { scale: 1 / Math.sqrt(scaledDim) },
    feedForward: () => ({ mlp: mlpOf(feedForwardLength(meta), { activation: 'geglu' }), experts: null }),
  };
}

/** Null where the file says 0: no cap. */
function capOf(meta: Hyperparameters, key: string, usual: number): number | null {
  return (meta.optionalF32(key, CAP) ?? usual) || null;
}

/** Gemma 2: every other layer sees a window; scores and logits are capped. */
export const gemma2: Architecture = {
  name: 'gemma2',
  describe: (meta) => {
    const traits = gemmaTraits(meta, 46);
    const windowOf = slidingWindow(meta, { period: 2, usual: 4096 });
    const attention: Partial<AttentionDescription> = {
      ...traits.attention,
      softCap: capOf(meta, 'attn_logit_softcapping', 50),
    };
    return decoder(meta, {
      ...traits,
      attention,
      logitSoftCap: capOf(meta, 'final_logit_softcapping', 30),
      layer: (layer) => ({ window: windowOf(layer) }),
    });
  },
};

/** Gemma 3: five of six layers see a window and turn by a base of their own; q and k are normed head by head. */
export const gemma3: Architecture = {
  name: 'gemma3',
  describe: (meta) => {
    const traits = gemmaTraits(meta, 62);
    const windowOf = slidingWindow(meta, { period: 6, usual: null });
    const { nCtxTrain } = decoderSizes(meta);
    const localBase = meta.optionalF32('rope.freq_base_swa', { min: 1, max: 1e12 }) ?? 10_000;
    return decoder(meta, {
      ...traits,
      attention: { ...traits.attention, qkNorm: 'head' },
      logitSoftCap: capOf(meta, 'final_logit_softcapping', 0),
      ropeTables: [
        ropeTable(meta, nCtxTrain),
        { base: localBase, scaling: { kind: 'linear', factor: 1, magnitude: 1 } },
      ],
      layer: (layer) => ({ window: windowOf(layer), ropeTable: windowOf(layer) === null ? 0 : 1 }),
    });
  },
};
