import type { Architecture } from '../architecture.ts';
import { decoder, feedForwardLength, mlpOf } from '../decoder.ts';

/**
 * StarCoder2: LayerNorm, an MLP without a gate, and a bias wherever there can be one (Starcoder2DecoderLayer). Its window is
 * not applied, as it is not in llama.cpp: a GGUF does not tell it.
 */
export const starcoder2: Architecture = {
  name: 'starcoder2',
  describe: (meta) =>
    decoder(meta, {
      pairs: 'halves',
      norm: 'layer',
      biases: ['attn_norm', 'ffn_norm', 'output_norm'],
      feedForward: () => ({ mlp: mlpOf(feedForwardLength(meta), { activation: 'gelu' }), experts: null }),
    }),
};
