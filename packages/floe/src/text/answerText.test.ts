import { describe, expect, it } from 'vitest';
import { type AnswerTokens, answerText } from './answerText.ts';

const MARKERS = ['<|start|>', '<|channel|>', '<|message|>', '<|end|>', '<|constrain|>'];

/** A vocabulary of the markers and all single bytes. */
function tokensOf(markers: readonly string[]): AnswerTokens {
  return {
    vocabulary: { addSpacePrefix: false, model: 'gpt2', tokens: markers },
    isControl: (id) => id < markers.length,
    tokenBytes: (id) => Uint8Array.of(id - markers.length),
  };
}

/** What comes of a text whose markers are the vocabulary's, token by token, joined. */
function read(text: string, { markers = MARKERS, continues = false } = {}) {
  const answer = answerText(tokensOf(markers), { continues });
  const ids = text.split(/(<\|\w+\|>)/).flatMap((part) => {
    const marker = markers.indexOf(part);
    if (marker >= 0) return [marker];
    return [...new TextEncoder().encode(part)].map((byte) => byte + markers.length);
  });
  const pieces = [...ids.map((id) => answer.push(id)), answer.flush()];
  return {
    text: pieces.map((piece) => piece.text).join(''),
    reasoning: pieces.map((piece) => piece.reasoning).join(''),
  };
}

describe('an answer in channels', () => {
  it('is its final one, and its analysis is reasoning', () => {
    const answer =
      '<|channel|>analysis<|message|>Think 🦙.<|end|><|start|>assistant<|channel|>final<|message|>analysis: héllo';
    expect(read(answer)).toEqual({ text: 'analysis: héllo', reasoning: 'Think 🦙.' });
  });

  it('comes piece by piece, never a part of a character, and never a header', () => {
    const answer = answerText(tokensOf(MARKERS), { continues: false });
    const push = (...ids: number[]) => ids.map((id) => answer.push(id).text);
    const bytes = (text: string) => [...new TextEncoder().encode(text)].map((byte) => byte + MARKERS.length);
    expect(push(1, ...bytes('final'), 2).join('')).toBe('');
    expect(push(...bytes('aé'))).toEqual(['a', '', 'é']);
  });

  it('shows a call to a tool with its name, behind what was said before it', () => {
    const answer =
      '<|channel|>analysis<|message|>A<|end|><|start|>assistant<|channel|>analysis<|message|>B<|end|>' +
      '<|start|>assistant<|channel|>commentary<|message|>I look.<|end|>' +
      '<|start|>assistant to=functions.weather<|channel|>commentary <|constrain|>json<|message|>{"city":"Paris"}';
    expect(read(answer)).toEqual({
      text: 'I look.\nassistant to=functions.weather commentary json\n{"city":"Paris"}',
      reasoning: 'A\nB',
    });
  });

  it('is all text where the model writes no channel, and none where it was cut off in a header', () => {
    expect(read('Hello')).toEqual({ text: 'Hello', reasoning: '' });
    expect(read('<|channel|>ana')).toEqual({ text: '', reasoning: '' });
    expect(read('<|channel|>analysis<|message|>A<|end|><|start|>assis')).toEqual({ text: '', reasoning: 'A' });
  });
});

describe('an answer without channels', () => {
  it.each([
    ['of a vocabulary that has none', { markers: ['<|start|>', '<|message|>'] }],
    ['that goes on with a text', { continues: true }],
  ])('%s is its text', (_, options) => {
    expect(read('final<|message|>a', options)).toEqual({ text: 'finala', reasoning: '' });
  });
});
