/** For tests of answers in channels: a vocabulary of their markers and all single bytes. */
import type { AnswerTokens } from './answerText.ts';

export const CHANNEL_MARKERS = ['<|start|>', '<|channel|>', '<|message|>', '<|end|>', '<|constrain|>', '<|return|>'];

export function tokensOf(markers: readonly string[] = CHANNEL_MARKERS): AnswerTokens {
  return {
    vocabulary: { addSpacePrefix: false, model: 'gpt2', tokens: markers },
    isControl: (id) => id < markers.length,
    tokenBytes: (id) => Uint8Array.of(id - markers.length),
  };
}

/** The ids of a text: markers where it has them, bytes for the rest. */
export function idsOf(text: string, markers: readonly string[] = CHANNEL_MARKERS): number[] {
  return text.split(/(<[^<>]+>)/).flatMap((part) => {
    const marker = markers.indexOf(part);
    if (marker >= 0) return [marker];
    return Array.from(new TextEncoder().encode(part), (byte) => byte + markers.length);
  });
}
