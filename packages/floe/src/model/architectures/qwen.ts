import type { Architecture } from '../architecture.ts';
import {
  type DecoderTraits,
  decoder,
  expertLength,
  expertsOf,
  feedForwardLength,
  mlpOf,
  sharedLength,
  sharedMlp,
} from '../decoder.ts';
import type { Hyperparameters } from '../hyperparameters.ts';

/** What all of Qwen2 and Qwen3 have: pairs (i, i + half); Qwen2 has biases of q, k and v, Qwen3 a norm of each head of q and k. */
const qwen2Traits = { pairs: 'halves', biases: ['attn_q', 'attn_k', 'attn_v'] } as const;
const qwen3Traits = { pairs: 'halves', attention: { qkNorm: 'head' } } as const;

const dense = (meta: Hyperparameters): Pick<DecoderTraits, 'feedForward'> => ({
  feedForward: () => ({ mlp: mlpOf(feedForwardLength(meta)), experts: null }),
});

/** The experts' own width, or the share of the MLP's that the first converters meant. */
function moeLength(meta: Hyperparameters): number {
  return expertLength(meta) ?? feedForwardLength(meta) / meta.u32('expert_used_count', { min: 1, max: 1024 });
}

/** Qwen2, Qwen2.5. */
export const qwen2: Architecture = {
  name: 'qwen2',
  describe: (meta) => decoder(meta, { ...qwen2Traits, ...dense(meta) }),
};

/** Qwen1.5-MoE, Qwen2-MoE: weights of the chosen stay as they are, and an expert all share has a gate of its own. */
export const qwen2moe: Architecture = {
  name: 'qwen2moe',
  describe: (meta) =>
    decoder(meta, {
      ...qwen2Traits,
      expertDim: moeLength(meta),
      feedForward: () => ({
        mlp: sharedMlp(sharedLength(meta) ?? feedForwardLength(meta), { gated: true }),
        experts: expertsOf({ renormalise: false }),
      }),
    }),
};

/** Qwen3. */
export const qwen3: Architecture = {
  name: 'qwen3',
  describe: (meta) => decoder(meta, { ...qwen3Traits, ...dense(meta) }),
};

/** Qwen3-MoE. */
export const qwen3moe: Architecture = {
  name: 'qwen3moe',
  describe: (meta) =>
    decoder(meta, {
      ...qwen3Traits,
      expertDim: moeLength(meta),
      feedForward: () => ({ mlp: null, experts: expertsOf() }),
    }),
};
