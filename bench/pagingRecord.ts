/** Records a model's routes on its eval set: prompts and the answers it is expected to give. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { testData } from '@floe/testkit/data';
import { writeTrace } from '../packages/floe/src/experts/index.ts';
import type { Device } from '../packages/floe/src/gpu/index.ts';
import { createTokenizer, vocabularyFromMetadata } from '../packages/floe/src/text/index.ts';
import { readSet } from './evaluate.ts';
import { CONTEXT, type ModelFile, place, unplace } from './pagingModel.ts';
import { routesOf, Stepper, type TraceTokens, traceOf } from './pagingStepper.ts';

const SET = 'eval-mini.jsonl';

/** A conversation's ids, the first of them its prompt's. */
export interface Chat {
  readonly ids: readonly number[];
  readonly nPromptTokens: number;
}

/** Conversations spread over the model's set, as ChatML, which is the template these models have. */
export async function chatIds({ gguf }: ModelFile, nItems: number): Promise<Chat[]> {
  const path = testData(SET);
  if (!path) throw new Error(`${SET} is not at hand`);
  const items = readSet(readFileSync(path, 'utf8'));
  const tokenizer = createTokenizer(vocabularyFromMetadata(gguf.metadata));
  const every = Math.max(1, Math.floor(items.length / nItems));
  const chosen = items.filter((_, i) => i % every === 0).slice(0, nItems);
  return chosen.map(({ messages, expected }) => {
    const said = messages.map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`).join('');
    const prompt = `${said}<|im_start|>assistant\n`;
    const nPromptTokens = tokenizer.tokenize(prompt, { special: true }).length;
    return { ids: tokenizer.tokenize(`${prompt}${expected}<|im_end|>`, { special: true }), nPromptTokens };
  });
}

/** Writes the trace; says what it wrote. */
export async function record(device: Device, file: ModelFile, path: string, nItems: number): Promise<string> {
  const model = await place(device, file, { share: 1 });
  const stepper = await Stepper.make(device, model);
  const tokens: TraceTokens = [];
  for (const { ids, nPromptTokens } of await chatIds(file, nItems)) {
    tokens.push(...(await routesOf(stepper, ids.slice(0, CONTEXT), nPromptTokens)));
  }
  const bytes = writeTrace(traceOf(model, file.name, tokens));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  await stepper.destroy();
  unplace(device, model);
  return `${path}: ${tokens.length} tokens of ${nItems} chats, ${bytes.length} bytes`;
}
