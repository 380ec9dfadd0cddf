import { type Architecture, decoderShape } from '../architecture.ts';

/** Llama 2 and 3, Mistral; with experts, Mixtral. */
export const llama: Architecture = {
  name: 'llama',
  // Pairs (2i, 2i + 1): conversion to GGUF permuted q and k.
  rope: 'interleaved',
  feedForward: ({ nExperts }) => (nExperts > 0 ? 'experts' : 'dense'),
  shape: decoderShape,
};
