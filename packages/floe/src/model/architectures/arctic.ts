import type { Architecture } from '../architecture.ts';
import { decoder, expertsOf, mlpOf } from '../decoder.ts';

/** Snowflake Arctic: a dense MLP as wide as the model, and beside it experts that read the layer's *input* (ArcticDecoderLayer). */
export const arctic: Architecture = {
  name: 'arctic',
  describe: (meta) =>
    decoder(meta, {
      // Pairs (2i, 2i + 1): conversion to GGUF permuted q and k.
      pairs: 'interleaved',
      // `feed_forward_length` is the width of an expert; that of the dense MLP is implied.
      feedForward: ({ modelDim }) => ({ mlp: mlpOf(modelDim), experts: expertsOf({}, { reads: 'layerInput' }) }),
    }),
};
