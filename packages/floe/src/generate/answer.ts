import { ContextError, throwIfAborted } from '../errors/index.ts';
import type { Clock } from '../host/index.ts';
import { StreamingDetokenizer, type Tokenizer } from '../text/index.ts';
import { seededUniform } from './random.ts';
import type { Picking, Runner } from './runner.ts';
import { StopMatcher } from './stop.ts';

export interface AnswerRequest {
  readonly prompt: readonly number[];
  readonly picking: Picking;
  readonly seed: number;
  /** Ids to generate at the most; undefined: what the context has room for. */
  readonly maxTokens: number | undefined;
  /** Strings that end the answer and are no part of it. */
  readonly stops: readonly string[];
  /** Ids that end the answer and are no part of it. */
  readonly endIds: ReadonlySet<number>;
  /** True: the answer goes on with a text. False: it is a text of its own. */
  readonly continues: boolean;
  readonly signal: AbortSignal | undefined;
}

export type AnswerPart =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'done';
      readonly reason: 'stop' | 'length';
      readonly ids: readonly number[];
      readonly prefillMs: number;
      readonly decodeMs: number;
    };

/**
 * Answers a prompt, piece by piece. One step is always queued ahead of the id the host knows: a step reads its input on
 * the GPU, where the step before left it, so the device never waits for the host. A step behind an end is wasted, not wrong.
 */
export async function* answer(
  runner: Runner,
  tokenizer: Tokenizer,
  clock: Clock,
  request: AnswerRequest,
): AsyncGenerator<AnswerPart> {
  const { prompt, picking, signal } = request;
  const room = runner.contextLength - prompt.length;
  if (room < 1) throw promptTooLong(prompt.length, runner.contextLength);
  // The id sampled last needs no room: nothing is computed from it.
  const nMost = Math.min(request.maxTokens ?? Number.POSITIVE_INFINITY, room + 1);
  const uniform = seededUniform(request.seed);
  const text = new StreamingDetokenizer(tokenizer, { continues: request.continues });
  const stop = new StopMatcher(request.stops);
  const ids: number[] = [];
  const startMs = clock.now();
  runner.rewind(0);
  let pending = await runner.prefill(prompt, picking, uniform(), () => throwIfAborted(signal));
  let ahead: typeof pending | null = null;
  let firstMs = 0;
  const done = (reason: 'stop' | 'length'): AnswerPart => {
    const nowMs = clock.now();
    return {
      kind: 'done',
      reason,
      ids,
      prefillMs: (firstMs || nowMs) - startMs,
      decodeMs: firstMs ? nowMs - firstMs : 0,
    };
  };
  try {
    while (ids.length < nMost) {
      ahead = ids.length + 1 < nMost ? await runner.decode(picking, uniform()) : null;
      const id = new Uint32Array(await pending.wait())[0]!;
      firstMs ||= clock.now();
      throwIfAborted(signal);
      if (request.endIds.has(id)) {
        yield* textOf(stop.push(text.flush()).text + stop.flush());
        yield done('stop');
        return;
      }
      ids.push(id);
      const piece = stop.push(text.push(id));
      yield* textOf(piece.text);
      if (piece.stopped) {
        yield done('stop');
        return;
      }
      if (!ahead) break;
      pending = ahead;
      ahead = null;
    }
    const rest = stop.push(text.flush());
    yield* textOf(rest.stopped ? rest.text : rest.text + stop.flush());
    yield done(rest.stopped ? 'stop' : 'length');
  } finally {
    // The buffer of a step that was queued ahead must come back before the next answer begins.
    await ahead?.wait();
  }
}

function* textOf(text: string): Generator<AnswerPart> {
  if (text !== '') yield { kind: 'text', text };
}

function promptTooLong(nPrompt: number, contextLength: number): ContextError {
  return new ContextError('context/full', `The prompt has ${nPrompt} tokens; the context holds ${contextLength}.`, {
    remedy: 'Shorten the prompt, or load the model with a larger `contextLength`.',
    details: { neededTokens: nPrompt, contextLength },
  });
}
