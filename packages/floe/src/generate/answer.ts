import { NumericError, throwIfAborted } from '../errors/index.ts';
import type { Clock } from '../host/index.ts';
import { NOTHING_PICKED } from '../kernels/index.ts';
import type { Tokenizer } from '../text/index.ts';
import { AnswerParts, type TextPart } from './answerText.ts';
import { checkRoom, fullWithin } from './contextFull.ts';
import type { Conversation } from './conversation.ts';
import type { PendingId, Picking } from './pick.ts';
import { seededUniform } from './random.ts';

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
  /** The first ids of the answer, where it was cut off and goes on; by itself none. */
  readonly answered?: readonly number[];
  /** Called before each unit of the prompt. */
  readonly onUnit: () => void;
  /** Called with all ids so far, the end not among them, when one has come. */
  readonly onIds?: (ids: readonly number[]) => void;
  readonly signal: AbortSignal | undefined;
  /** When the call was made, by the clock: the first token's time counts from there. */
  readonly startMs: number;
}

export type AnswerPart =
  | TextPart
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
  const { prompt, picking, signal, answered = [] } = request;
  const { window, overflow } = conversation.context;
  checkRoom(conversation.context, prompt.length);
  const room = overflow === 'slide' ? Number.POSITIVE_INFINITY : window - prompt.length;
  // The id sampled last needs no room: nothing is computed from it.
  const nMost = Math.min(request.maxTokens ?? Number.POSITIVE_INFINITY, room + 1);
  const uniform = seededUniform(request.seed);
  const text = new AnswerParts(tokenizer, request);
  const ids: number[] = [];
  let endId: readonly number[] = [];
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
      cachedTokens: Math.min(cachedTokens, prompt.length),
    };
  };
  const known = [...prompt, ...answered];
  const cachedTokens = conversation.reuse(known);
  // Each id has had its draw.
  for (const id of answered) {
    uniform();
    ids.push(id);
    yield* text.push(id);
  }
  const checkWindow = () => {
    if (overflow === 'error' && ids.length > room) throw fullWithin(ids.length, window);
  };
  if (text.stopped || ids.length >= nMost) {
    if (!text.stopped) {
      checkWindow();
      yield* text.end();
    }
    yield done(text.stopped ? 'stop' : 'length');
    return;
  }
  const decode = (given?: number) => conversation.decode(picking, uniform(), signal, given);
  let pending = await begin();
  let ahead: PendingId | null = null;
  let waited = false;
  const leave = conversation.enter();
  try {
    while (ids.length < nMost) {
      waited = false;
      const isLast = ids.length + 1 >= nMost;
      ahead = !isLast && conversation.cannotMiss ? await decode() : null;
      waited = true;
      const id = pickedId(await pending.wait());
      firstMs ||= clock.now();
      throwIfAborted(signal);
      if (request.endIds.has(id)) {
        endId = [id];
        yield* text.end();
        yield done('stop');
        return;
      }
      ids.push(id);
      request.onIds?.(ids);
      yield* text.push(id);
      if (text.stopped) {
        yield done('stop');
        return;
      }
      if (isLast) break;
      pending = ahead ?? (await decode());
      ahead = null;
    }
    checkWindow();
    yield* text.end();
    yield done(text.stopped ? 'stop' : 'length');
  } finally {
    leave();
    // The buffers of steps still queued must come back before the next answer begins; why this one ended is known.
    if (!waited) await pending.wait().catch(() => {});
    await ahead?.wait().catch(() => {});
    conversation.holds([...prompt, ...ids, ...endId]);
  }

  /** The first id that is not known: by a step where the cache holds all but the last that is, else by a prompt. */
  function begin(): Promise<PendingId> {
    if (answered.length > 0 && cachedTokens === known.length - 1) return decode(known.at(-1));
    const beforeUnit = () => {
      throwIfAborted(signal);
      request.onUnit();
    };
    return conversation.prefill(known.slice(cachedTokens), picking, uniform(), beforeUnit, signal);
  }
}

/** @throws {NumericError} `numeric/not-finite`: no logit was a number, so there was nothing to pick. */
function pickedId(id: number): number {
  if (id !== NOTHING_PICKED) return id;
  throw new NumericError('numeric/not-finite', 'The logits of a step are not numbers: no token can be picked.', {
    remedy: 'The weights are damaged, or overflow in this quantization. Download the model again or take another file.',
  });
}
