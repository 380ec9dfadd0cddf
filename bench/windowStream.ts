/** The perplexity of answers in a stream of conversations, one after another without end. */
import { logSoftmax } from '@floe/testkit/expectNear';
import type { Conversation, Engine } from '../packages/floe/src/generate/index.ts';
import { readBuffer } from '../packages/floe/src/gpu/index.ts';
import type { Tokenizer } from '../packages/floe/src/text/index.ts';
import type { EvalItem } from './evaluate.ts';

/** Ids, and which of them are an answer's. */
export interface Stream {
  readonly ids: readonly number[];
  readonly isAnswer: readonly boolean[];
}

export interface Loss {
  /** Over the answers' tokens; and over those that stand where the window is full. */
  readonly ppl: number;
  readonly pplFull: number;
  readonly nTokens: number;
  readonly nAnswerTokens: number;
  readonly ms: number;
}

/** The chats as their template writes them. */
export function streamOf(tokenizer: Tokenizer, chats: readonly EvalItem[]): Stream {
  const ids: number[] = [];
  const isAnswer: boolean[] = [];
  const push = (text: string, answer: boolean) => {
    for (const id of tokenizer.tokenize(text, { special: true })) {
      ids.push(id);
      isAnswer.push(answer);
    }
  };
  for (const { messages, expected } of chats) {
    for (const { role, content } of messages) push(`<|im_start|>${role}\n${content}<|im_end|>\n`, false);
    push('<|im_start|>assistant\n', false);
    push(`${expected}<|im_end|>`, true);
    push('\n', false);
  }
  return { ids, isAnswer };
}

/** As the conversation's window has it. */
export async function perplexityOf(conversation: Conversation, { ids, isAnswer }: Stream): Promise<Loss> {
  const startMs = performance.now();
  const losses: { at: number; loss: number }[] = [];
  conversation.rewind(0);
  let at = 0;
  for await (const logits of conversation.logits(ids, () => {})) {
    at++;
    if (isAnswer[at]) losses.push({ at, loss: -logSoftmax(logits)[ids[at]!]! });
  }
  return summary(losses, ids.length, conversation.context.window, performance.now() - startMs);
}

/** Each answer token from the `window` tokens before it alone, computed anew: what no cache can be better than. */
export async function recomputed(engine: Engine, { ids, isAnswer }: Stream, window: number): Promise<Loss> {
  const conversation = engine.open();
  const startMs = performance.now();
  const losses: { at: number; loss: number }[] = [];
  for (const [at, id] of ids.entries()) {
    if (!isAnswer[at] || at === 0) continue;
    const seen = ids.slice(Math.max(0, at - window), at);
    conversation.rewind(0);
    losses.push({ at, loss: -logSoftmax(await logitsBehind(engine, conversation, seen))[id]! });
  }
  return summary(losses, ids.length, window, performance.now() - startMs);
}

async function logitsBehind(engine: Engine, conversation: Conversation, ids: readonly number[]): Promise<Float32Array> {
  await (await conversation.prefill(ids, { kind: 'greedy' }, 0, () => {})).wait();
  const { device, model } = engine;
  const { s } = engine.prompts;
  return new Float32Array(await readBuffer(device, s.logits.buffer, 0, model.plan.nVocab * 4));
}

function summary(losses: readonly { at: number; loss: number }[], nTokens: number, window: number, ms: number): Loss {
  const pplOf = (some: readonly { loss: number }[]) =>
    Math.exp(some.reduce((sum, { loss }) => sum + loss, 0) / Math.max(1, some.length));
  return {
    ppl: pplOf(losses),
    pplFull: pplOf(losses.filter(({ at }) => at > window)),
    nTokens,
    nAnswerTokens: losses.length,
    ms,
  };
}
