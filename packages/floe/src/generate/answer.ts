import { ContextError, NumericError, throwIfAborted } from '../errors/index.ts';
import type { Clock } from '../host/index.ts';
import { NOTHING_PICKED } from '../kernels/index.ts';
import { answerText, type Tokenizer } from '../text/index.ts';
import type { Conversation } from './conversation.ts';
import type { Picking } from './pick.ts';
import { seededUniform } from './random.ts';
import { StopMatcher } from './stop.ts';

export interface AnswerRequest {
  readonly prompt: readonly number[];
  readonly picking: Picking;
  readonly seed: number;
  /** Ids to generate at the most; undefined: what the window has room for, and no limit where it slides. */
  readonly maxTokens: number | undefined;
  /** Strings that end the answer and are no part of it. */
  readonly stops: readonly string[];
  /** Ids that end the answer and are no part of it. */
  readonly endIds: ReadonlySet<number>;
  /** True: the answer goes on with a text. False: it is a text of its own. */
  readonly continues: boolean;
  /** Called before each unit of the prompt. */
  readonly onUnit: () => void;
  readonly signal: AbortSignal | undefined;
  /** When the call was made, by the clock: the first token's time counts from there. */
  readonly startMs: number;
}

/** Reasoning comes apart where the model keeps it apart. */
export type AnswerPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'reasoning'; readonly text: string }
  | {
      readonly kind: 'done';
      readonly reason: 'stop' | 'length';
      readonly ids: readonly number[];
      readonly prefillMs: number;
      readonly decodeMs: number;
      /** Of prompt and answer: how many slid out of the window. */
      readonly droppedTokens: number;
      /** Of the prompt: how many were in the cache, from an earlier answer. */
      readonly cachedTokens: number;
    };

/**
 * Answers a prompt, piece by piece. Where no expert can be missing one step is queued ahead of the id the host knows: it
 * reads its input on the GPU, where the step before left it, so the device never waits for the host. A step behind an end
 * is wasted, not wrong; where it would load experts it is not begun before it is known to be wanted.
 */
export async function* answer(
  conversation: Conversation,
  tokenizer: Tokenizer,
  clock: Clock,
  request: AnswerRequest,
): AsyncGenerator<AnswerPart> {
  const { prompt, picking, signal } = request;
  const { window, overflow } = conversation.context;
  const room = overflow === 'slide' ? Number.POSITIVE_INFINITY : window - prompt.length;
  if (room < 0) throw promptTooLong(prompt.length, window);
  // The id sampled last needs no room: nothing is computed from it.
  const nMost = Math.min(request.maxTokens ?? Number.POSITIVE_INFINITY, room + 1);
  const uniform = seededUniform(request.seed);
  const text = answerText(tokenizer, { continues: request.continues, prompt });
  const stop = new StopMatcher(request.stops);
  const ids: number[] = [];
  const cachedTokens = conversation.reuse(prompt);
  let endId: readonly number[] = [];
  const beforeUnit = () => {
    throwIfAborted(signal);
    request.onUnit();
  };
  let pending = await conversation.prefill(prompt.slice(cachedTokens), picking, uniform(), beforeUnit, signal);
  let ahead: typeof pending | null = null;
  let waited = false;
  let firstMs = 0;
  const done = (reason: 'stop' | 'length'): AnswerPart => {
    const nowMs = clock.now();
    return {
      kind: 'done',
      reason,
      ids,
      prefillMs: (firstMs || nowMs) - request.startMs,
      decodeMs: firstMs ? nowMs - firstMs : 0,
      droppedTokens: Math.max(0, prompt.length + ids.length - window),
      cachedTokens,
    };
  };
  const leave = conversation.enter();
  try {
    while (ids.length < nMost) {
      waited = false;
      const isLast = ids.length + 1 >= nMost;
      ahead = !isLast && conversation.cannotMiss ? await conversation.decode(picking, uniform(), signal) : null;
      waited = true;
      const id = pickedId(await pending.wait());
      firstMs ||= clock.now();
      throwIfAborted(signal);
      if (request.endIds.has(id)) {
        endId = [id];
        const rest = text.flush();
        yield* partOf('reasoning', rest.reasoning);
        yield* partOf('text', stop.push(rest.text).text + stop.flush());
        yield done('stop');
        return;
      }
      ids.push(id);
      const pushed = text.push(id);
      yield* partOf('reasoning', pushed.reasoning);
      const piece = stop.push(pushed.text);
      yield* partOf('text', piece.text);
      if (piece.stopped) {
        yield done('stop');
        return;
      }
      if (isLast) break;
      pending = ahead ?? (await conversation.decode(picking, uniform(), signal));
      ahead = null;
    }
    if (overflow === 'error' && ids.length > room) throw windowFull(ids.length, window);
    const last = text.flush();
    yield* partOf('reasoning', last.reasoning);
    const rest = stop.push(last.text);
    yield* partOf('text', rest.stopped ? rest.text : rest.text + stop.flush());
    yield done(rest.stopped ? 'stop' : 'length');
  } finally {
    leave();
    // The buffers of steps still queued must come back before the next answer begins; why this one ended is known.
    if (!waited) await pending.wait().catch(() => {});
    await ahead?.wait().catch(() => {});
    conversation.holds([...prompt, ...ids, ...endId]);
  }
}

/** @throws {NumericError} `numeric/not-finite`: no logit was a number, so there was nothing to pick. */
function pickedId(id: number): number {
  if (id !== NOTHING_PICKED) return id;
  throw new NumericError('numeric/not-finite', 'The logits of a step are not numbers: no token can be picked.', {
    remedy: 'The weights are damaged, or overflow in this quantization. Download the model again or take another file.',
  });
}

function* partOf(kind: 'text' | 'reasoning', text: string): Generator<AnswerPart> {
  if (text !== '') yield { kind, text };
}

function promptTooLong(nPrompt: number, window: number): ContextError {
  return new ContextError('context/full', `The prompt has ${nPrompt} tokens; the window holds ${window}.`, {
    remedy: "Shorten the prompt, or load the model with a larger `context.window` or with `overflow: 'slide'`.",
    details: { neededTokens: nPrompt, window },
  });
}

function windowFull(nAnswered: number, window: number): ContextError {
  return new ContextError('context/full', `The window of ${window} tokens is full after ${nAnswered} of the answer.`, {
    remedy: "Load the model with `overflow: 'slide'`, which goes on, or with 'stop', which ends the answer there.",
    details: { answeredTokens: nAnswered, window },
  });
}
