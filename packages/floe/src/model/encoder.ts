/** What encoders have in common, filled in: tokens that see ahead, and norms of the stream once a branch is in it. */
import type { ModelDescription } from './architecture.ts';
import { type DecoderTraits, decoder } from './decoder.ts';
import type { Hyperparameters } from './hyperparameters.ts';

export type EncoderTraits = Pick<DecoderTraits, 'pairs' | 'feedForward' | 'sizes' | 'biases'> & {
  /** Whether a position has a learned row. */
  readonly positions: boolean;
};

/** Stems of the norms, each of which has a bias. */
const NORMS = ['token_embd_norm', 'attn_output_norm', 'layer_output_norm'] as const;

export function encoder(meta: Hyperparameters, { positions, biases = [], ...traits }: EncoderTraits): ModelDescription {
  const [norm, attentionSum, feedForwardSum] = NORMS;
  return decoder(meta, {
    ...traits,
    norm: 'layer',
    norms: { beforeAttention: null, beforeFeedForward: null, attentionSum, feedForwardSum, output: null },
    input: { positions: positions ? 'position_embd' : null, types: 'token_types', norm },
    attention: { causal: meta.optionalBool('attention.causal') ?? false },
    biases: [...biases, ...NORMS],
  });
}
