/** What a model writes becomes OpenAI's chunks and completions: text, and what it thought before, apart from it. */
import { expect, it } from 'vitest';
import { answer, type Conversation } from '../generate/index.ts';
import { systemClock } from '../host/index.ts';
import { CHANNEL_MARKERS, idsOf, tokensOf } from '../text/answerText.testing.ts';
import type { Tokenizer } from '../text/index.ts';
import { collectChat, collectText, streamOf } from './chunks.ts';

const head = { id: 'a', created: 1, model: 'm' };
const RETURN = CHANNEL_MARKERS.indexOf('<|return|>');
const WRITTEN =
  '<|channel|>analysis<|message|>Stop here? No.<|end|><|start|>assistant<|channel|>final<|message|>It is so. Stop here.';

/** An answer of these tokens, one a step, as a conversation gives them. */
function answerOf(written: string, stops: readonly string[] = []) {
  const ids = [...idsOf(written), RETURN];
  const next = async () => ({ wait: async () => ids.shift()! });
  const conversation = {
    ...{ context: { window: 1000, overflow: 'stop' }, cannotMiss: false, prefill: next, decode: next },
    ...{ reuse: () => 0, enter: () => () => {}, holds: () => {} },
  } as unknown as Conversation;
  const parts = answer(conversation, tokensOf() as Tokenizer, systemClock, {
    ...{ prompt: [7], picking: { kind: 'greedy' }, seed: 1, maxTokens: undefined, stops, endIds: new Set([RETURN]) },
    ...{ continues: false, onUnit: () => {}, signal: undefined, startMs: 0 },
  });
  return (async function* () {
    for await (const part of parts) yield { ...part, nPrompt: 1 };
  })();
}

it('a completion has text and reasoning apart; a stop string ends the text, not the reasoning', async () => {
  const whole = await collectChat(head, answerOf(WRITTEN));
  expect(whole.choices[0]).toMatchObject({
    message: { role: 'assistant', content: 'It is so. Stop here.', reasoning_content: 'Stop here? No.' },
    finish_reason: 'stop',
  });
  const stopped = await collectChat(head, answerOf(WRITTEN, ['Stop']));
  expect(stopped.choices[0].message).toEqual({
    ...{ role: 'assistant', content: 'It is so. ', reasoning_content: 'Stop here? No.' },
  });
});

it('chunks have one or the other, in the order they were written', async () => {
  const said: string[] = [];
  for await (const { choices } of streamOf(head, answerOf(WRITTEN))) {
    const { content, reasoning_content } = choices[0].delta;
    if (content !== undefined) said.push(content);
    if (reasoning_content !== undefined) said.push(reasoning_content.toUpperCase());
  }
  expect(said.join('')).toBe('STOP HERE? NO.It is so. Stop here.');
});

it('without reasoning neither says anything of it', async () => {
  const { choices } = await collectChat(head, answerOf('Hi'));
  expect(choices[0].message).toEqual({ role: 'assistant', content: 'Hi' });
  expect(await collectText(answerOf('Hi'))).not.toHaveProperty('reasoning');
});
