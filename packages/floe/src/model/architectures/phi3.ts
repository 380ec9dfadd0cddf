import type { Architecture } from '../architecture.ts';
import { decoder, decoderSizes, feedForwardLength, mlpOf } from '../decoder.ts';
import { ropeTable } from '../ropeScaling.ts';

/**
 * Phi-3, Phi-3.5, Phi-4-mini: q, k and v of one matrix, gate and up of one. Its window is not applied, as it is not in
 * llama.cpp: what converters write of it is not reliable. They write LongRoPE's factors and no name of it: where there are
 * factors, it is that.
 */
export const phi3: Architecture = {
  name: 'phi3',
  describe: (meta) =>
    decoder(meta, {
      pairs: 'halves',
      ropeTables: [ropeTable(meta, decoderSizes(meta).nCtxTrain, 'longrope')],
      feedForward: () => ({ mlp: mlpOf(feedForwardLength(meta)), experts: null }),
    }),
};
