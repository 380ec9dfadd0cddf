import { describe, expect, it } from 'vitest';
import { CHANNEL_MARKERS, idsOf, tokensOf } from './answerText.testing.ts';
import { answerText } from './answerText.ts';

/** What comes of a text whose markers are the vocabulary's, token by token, joined. */
function read(text: string, { markers = CHANNEL_MARKERS, continues = false, prompt = '' } = {}) {
  const answer = answerText(tokensOf(markers), { continues, prompt: idsOf(prompt, markers) });
  const pieces = [...idsOf(text, markers).map((id) => answer.push(id)), answer.flush()];
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
    const answer = answerText(tokensOf(CHANNEL_MARKERS), { continues: false, prompt: [] });
    const push = (text: string) => idsOf(text).map((id) => answer.push(id).text);
    expect(push('<|channel|>final<|message|>').join('')).toBe('');
    expect(push('aé')).toEqual(['a', '', 'é']);
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

describe('an answer that thinks first', () => {
  const markers = ['<think>', '</think>'];
  it.each([
    ['by itself', '', '<think>\n'],
    ['as its template had it begin', 'Hi<think>\n', ''],
  ])('is what comes behind, without the white space between: %s', (_, prompt, begin) => {
    expect(read(`${begin}So it  is.\n\nYes 🦙.\n</think>\n\n It is.\n`, { markers, prompt })).toEqual({
      text: 'It is.\n',
      reasoning: 'So it  is.\n\nYes 🦙.',
    });
  });

  it.each([
    ['does not think', ' It is.', ''],
    ['was told not to', ' It is.', '<think>\n\n</think>\n\n'],
    ['speaks of thinking', 'a <think> b', ''],
  ])('is all text where it %s', (_, text, prompt) => {
    // A marker in the middle is the detokenizer's, which here drops it.
    expect(read(text, { markers, prompt })).toEqual({ text: text.replace('<think>', ''), reasoning: '' });
  });

  it('is none yet where it was cut off', () => {
    expect(read('<think>a ', { markers })).toEqual({ text: '', reasoning: 'a' });
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
