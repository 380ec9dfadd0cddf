/** Conversations of the eval sets as a model sees them. */
import { readFileSync } from 'node:fs';
import { testData } from './data.ts';
import { openOracle } from './oracle.ts';

/** Chats of the eval set as llama.cpp tokenizes them: what the model was trained on, so that distributions are sharp. */
export async function chatPrompts(path: string, n: number, set = 'eval.jsonl', most = 96): Promise<number[][]> {
  const rows = readFileSync(testData(set)!, 'utf8')
    .trim()
    .split('\n')
    .slice(0, n)
    .map((line) => JSON.parse(line));
  const oracle = await openOracle(path, { vocabOnly: true });
  const prompts = rows.map(({ messages, expected }) => {
    const said = messages
      .map((m: { role: string; content: string }) => `<|im_start|>${m.role}\n${m.content}<|im_end|>\n`)
      .join('');
    return oracle.tokenize(`${said}<|im_start|>assistant\n${expected}`, { special: true }).slice(0, most);
  });
  await oracle.close();
  return prompts;
}
