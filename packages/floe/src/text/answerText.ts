import type { AnswerText } from './answerPiece.ts';
import { ChannelText } from './channelText.ts';
import { StreamingDetokenizer, type TokenText } from './detokenizer.ts';
import { ThinkText } from './thinkText.ts';
import type { Vocabulary } from './vocabulary.ts';

export interface AnswerTokens extends TokenText {
  readonly vocabulary: Pick<Vocabulary, 'addSpacePrefix' | 'model' | 'tokens'>;
}

export interface AnswerTextOptions {
  /** True: the ids go on with a text, and are no answer of their own. */
  readonly continues: boolean;
  /** What they answer: a template may have begun the reasoning. */
  readonly prompt: readonly number[];
}

/** Which way a vocabulary's models keep reasoning apart, if any, is told by its markers. */
export function answerText(tokens: AnswerTokens, { continues, prompt }: AnswerTextOptions): AnswerText {
  const stream = new StreamingDetokenizer(tokens, { continues });
  const { channels, think } = markersOf(tokens);
  if (channels && !continues) return new ChannelText(stream, channels);
  if (think && !continues) return new ThinkText(stream, think, endsIn(tokens, prompt, think.open));
  return {
    push: (id) => ({ text: stream.push(id), reasoning: '' }),
    flush: () => ({ text: stream.flush(), reasoning: '' }),
  };
}

const known = new WeakMap<readonly string[], ReturnType<typeof findMarkers>>();

function markersOf(tokens: AnswerTokens): ReturnType<typeof findMarkers> {
  const found = known.get(tokens.vocabulary.tokens) ?? findMarkers(tokens);
  known.set(tokens.vocabulary.tokens, found);
  return found;
}

function findMarkers({ vocabulary, isControl }: AnswerTokens) {
  const idOf = (text: string) => vocabulary.tokens.indexOf(text);
  const [start, channel, message, end] = [idOf('<|start|>'), idOf('<|channel|>'), idOf('<|message|>'), idOf('<|end|>')];
  const [open, close] = [idOf('<think>'), idOf('</think>')];
  const hasChannels = [start, channel, message, end].every((id) => id >= 0 && isControl(id));
  return {
    channels: hasChannels ? { start, channel, message, end } : null,
    think: open >= 0 && close >= 0 ? { open, close } : null,
  };
}

/** Whether nothing but white space stands behind `marker`. */
function endsIn(tokens: AnswerTokens, ids: readonly number[], marker: number): boolean {
  for (let i = ids.length - 1; i >= 0; i--) {
    if (ids[i] === marker) return true;
    // White space is ASCII here: of other bytes none is below '!'.
    if (tokens.isControl(ids[i]!) || tokens.tokenBytes(ids[i]!).some((byte) => byte > 0x20)) return false;
  }
  return false;
}
