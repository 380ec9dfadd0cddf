import type { Architecture } from '../architecture.ts';
import { decoder, expertsOf } from '../decoder.ts';

/** OLMoE: q and k are normed as whole vectors, all heads together; the weights of the chosen experts stay as they are. */
export const olmoe: Architecture = {
  name: 'olmoe',
  describe: (meta) =>
    decoder(meta, {
      pairs: 'halves',
      attention: { qkNorm: 'whole' },
      feedForward: () => ({ mlp: null, experts: expertsOf({ renormalise: false }) }),
    }),
};
