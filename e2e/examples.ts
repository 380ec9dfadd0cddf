/** Questions whose answers another engine (llama.cpp) gave on the same files. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const data = join(import.meta.dirname, '../packages/testkit/data');

export const tinyModel = join(data, 'arctic-tiny-sql-q8_0.gguf');

export interface Example {
  readonly tables: string;
  readonly question: string;
  readonly answer: string;
}

interface Row {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly expected: string;
  readonly answers: Readonly<Record<string, string>>;
}

/** Single-turn examples for the tiny model that it answers right, shortest answers first. */
export function tinyExamples(): Example[] {
  const rows = readFileSync(join(data, 'eval.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
  return rows
    .filter(({ messages, expected, answers }) => {
      const roles = messages.map(({ role }) => role).join();
      return roles === 'system,user' && answers.q8_0 === expected;
    })
    .map(({ messages, expected }) => ({
      tables: messages[0]!.content,
      question: messages[1]!.content,
      answer: expected,
    }))
    .sort((a, b) => a.answer.length - b.answer.length);
}
