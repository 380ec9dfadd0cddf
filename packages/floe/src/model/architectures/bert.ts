import type { Architecture } from '../architecture.ts';
import { feedForwardLength, mlpOf } from '../decoder.ts';
import { encoder } from '../encoder.ts';

/**
 * BERT and XLM-RoBERTa, and so Arctic Embed xs, s, m, l and l-v2.0 (Devlin et al. 2018). GELU by its tanh form, as in
 * llama.cpp; they were trained with erf, which it is within 5e-4 of.
 */
export const bert: Architecture = {
  name: 'bert',
  describe: (meta) =>
    encoder(meta, {
      // Nothing turns: a position has a row of its own.
      pairs: 'halves',
      sizes: { ropeDim: 0 },
      positions: true,
      biases: ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_up', 'ffn_down'],
      feedForward: () => ({ mlp: mlpOf(feedForwardLength(meta), { activation: 'gelu' }), experts: null }),
    }),
};

/** nomic-embed-text, and so Arctic Embed m-long: BERT with positions that turn, SwiGLU, and no bias but in norms. */
export const nomicBert: Architecture = {
  name: 'nomic-bert',
  describe: (meta) =>
    encoder(meta, {
      pairs: 'halves',
      positions: false,
      feedForward: () => ({ mlp: mlpOf(feedForwardLength(meta)), experts: null }),
    }),
};
