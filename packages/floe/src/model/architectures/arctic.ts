import { type Architecture, decoderShape } from '../architecture.ts';

/** Snowflake Arctic: a dense MLP as wide as the model, and beside it experts that read the layer's *input* (ArcticDecoderLayer). */
export const arctic: Architecture = {
  name: 'arctic',
  // Pairs (2i, 2i + 1): conversion to GGUF permuted q and k.
  rope: 'interleaved',
  feedForward: () => 'denseBesideExperts',
  // `feed_forward_length` is the width of an expert; that of the dense MLP is implied.
  shape: (meta) => {
    const shape = decoderShape(meta);
    return { ...shape, ffDim: shape.modelDim };
  },
};
