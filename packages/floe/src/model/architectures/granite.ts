import type { Architecture } from '../architecture.ts';
import { decoder, expertsOf, sharedLength, sharedMlp } from '../decoder.ts';

const SCALE = { min: 1e-6, max: 1e6 };

/** Granite 3 with experts: every sum and every score has its scale. */
export const granitemoe: Architecture = {
  name: 'granitemoe',
  describe: (meta) => {
    const scale = (key: string) => meta.optionalF32(key, { ...SCALE, min: 0 }) || undefined;
    const attentionScale = scale('attention.scale');
    const sharedDim = sharedLength(meta);
    return decoder(meta, {
      // Pairs (2i, 2i + 1): conversion to GGUF permuted q and k.
      pairs: 'interleaved',
      // Where positions were not learned by turning, nothing turns.
      ...(meta.optionalBool('rope.scaling.finetuned') === false ? { sizes: { ropeDim: 0 } } : {}),
      ...(attentionScale === undefined ? {} : { attention: { scale: attentionScale } }),
      embeddingScale: scale('embedding_scale') ?? 1,
      residualScale: scale('residual_scale') ?? 1,
      logitScale: 1 / meta.f32('logit_scale', SCALE),
      feedForward: () => ({ mlp: sharedDim === undefined ? null : sharedMlp(sharedDim), experts: expertsOf() }),
    });
  },
};
