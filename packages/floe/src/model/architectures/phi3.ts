import type { Architecture } from '../architecture.ts';
import { decoder, feedForwardLength, mlpOf } from '../decoder.ts';

/**
 * Phi-3, Phi-3.5, Phi-4-mini: q, k and v of one matrix, gate and up of one. Its window is not applied, as it is not in
 * llama.cpp: what converters write of it is not reliable.
 */
export const phi3: Architecture = {
  name: 'phi3',
  describe: (meta) =>
    decoder(meta, {
      pairs: 'halves',
      feedForward: () => ({ mlp: mlpOf(feedForwardLength(meta)), experts: null }),
    }),
};
