import type { Architecture } from '../architecture.ts';
import { decoder, expertsOf } from '../decoder.ts';

/** DBRX: LayerNorm without a bias, q, k and v of one matrix cut to ± `clamp_kqv`. */
export const dbrx: Architecture = {
  name: 'dbrx',
  describe: (meta) =>
    decoder(meta, {
      pairs: 'halves',
      norm: 'layer',
      // The file's name for the norm before the experts.
      norms: { beforeFeedForward: 'attn_output_norm' },
      attention: { clamp: meta.f32('attention.clamp_kqv', { min: 1e-3, max: 1e6 }) },
      feedForward: () => ({ mlp: null, experts: expertsOf() }),
    }),
};
