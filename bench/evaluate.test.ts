/** The evaluation counts what it says it counts. */

import type { Model } from 'floe/node';
import { describe, expect, it } from 'vitest';
import { type EvalItem, evaluate, readSet } from './evaluate.ts';

/** A model that answers each question with the question itself. */
function echo(quantization: string, requests: unknown[] = []): Model {
  const create = async (request: { messages: { content: string }[] }) => {
    requests.push(request);
    return { choices: [{ message: { content: `${request.messages.at(-1)!.content}\n` } }] };
  };
  return { info: { quantization }, chat: { completions: { create } } } as unknown as Model;
}

const item = (question: string, expected: string, answers: Record<string, string>): EvalItem => ({
  messages: [{ role: 'user', content: question }],
  expected,
  answers,
});

describe('evaluate', () => {
  // Of four: 1 and 2 as expected, 1 and 3 as recorded; what is recorded is as expected in 1 and 4.
  const items = [
    item('a', 'a', { q4_0: 'a' }),
    item('b', 'b', { q4_0: 'x' }),
    item('c', 'y', { q4_0: 'c' }),
    item('d', 'z', { q4_0: 'z' }),
  ];
  it('counts expected and recorded answers apart, of the quantization the model has', async () => {
    expect(await evaluate(echo('Q4_0'), items)).toEqual({ exact: 0.5, n: 4, agrees: 0.5, recordedExact: 0.5 });
  });
  it('agrees with nobody where nothing is recorded', async () => {
    expect(await evaluate(echo('F32'), items)).toEqual({ exact: 0.5, n: 4, agrees: null, recordedExact: null });
  });
  it('asks greedily, for at most 120 tokens', async () => {
    const requests: unknown[] = [];
    await evaluate(echo('Q4_0', requests), items.slice(0, 1));
    expect(requests).toEqual([{ messages: items[0]!.messages, temperature: 0, max_tokens: 120 }]);
  });
});

describe('readSet', () => {
  it('reads lines of JSON, blank ones aside', () => {
    expect(readSet('{"messages":[],"expected":"a"}\n\n{"messages":[],"expected":"b"}\n')).toHaveLength(2);
  });
  it('refuses a line that is none, and says which', () => {
    expect(() => readSet('{"messages":[],"expected":"a"}\n{"messages":[]}')).toThrow('line 2 of the set');
  });
});
