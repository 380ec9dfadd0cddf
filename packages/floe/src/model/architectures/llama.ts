import type { Architecture } from '../architecture.ts';
import { decoder, expertsOf, feedForwardLength, mlpOf } from '../decoder.ts';

/** Llama 2 and 3, Mistral; with experts, Mixtral. */
export const llama: Architecture = {
  name: 'llama',
  describe: (meta) =>
    decoder(meta, {
      // Pairs (2i, 2i + 1): conversion to GGUF permuted q and k.
      pairs: 'interleaved',
      feedForward: ({ nExperts }) =>
        nExperts > 0 ? { mlp: null, experts: expertsOf() } : { mlp: mlpOf(feedForwardLength(meta)), experts: null },
    }),
};
