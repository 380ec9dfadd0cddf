import type { Architecture } from '../architecture.ts';
import { decoder, expertLength, expertsOf } from '../decoder.ts';
import { unsupported } from '../hyperparameters.ts';
import { slidingWindow } from '../window.ts';

/** gpt-oss: learned sinks, every other layer a window, biases everywhere, experts of a clamped SwiGLU; softmax of the chosen. */
export const gptOss: Architecture = {
  name: 'gpt-oss',
  describe: (meta) => {
    const expertDim = expertLength(meta);
    if (expertDim === undefined) throw unsupported('no expert_feed_forward_length');
    const windowOf = slidingWindow(meta, { period: 2, usual: 128 });
    return decoder(meta, {
      pairs: 'halves',
      // The file's name for the norm before the experts.
      norms: { beforeFeedForward: 'post_attention_norm' },
      attention: { sinks: true },
      expertDim,
      biases: ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate_inp'],
      layer: (layer) => ({ window: windowOf(layer) }),
      feedForward: () => ({ mlp: null, experts: expertsOf({}, { activation: 'swigluClamped' }) }),
    });
  },
};
