/** `context/full`: a window that does not slide has no room for more. */
import { ContextError } from '../errors/index.ts';
import type { ContextPlan } from '../model/index.ts';

/** @throws {ContextError} `context/full`: the window does not slide, and holds fewer than `neededTokens`. */
export function checkRoom({ window, overflow }: ContextPlan, neededTokens: number): void {
  if (overflow === 'slide' || neededTokens <= window) return;
  throw new ContextError('context/full', `${neededTokens} tokens are wanted; the window holds ${window}.`, {
    remedy: "Shorten the prompt, or load the model with a larger `context.window` or with `overflow: 'slide'`.",
    details: { neededTokens, window },
  });
}

/** What an answer ends with at the end of such a window, where that is to be an error. */
export function fullWithin(answeredTokens: number, window: number): ContextError {
  return new ContextError(
    'context/full',
    `The window of ${window} tokens is full after ${answeredTokens} of the answer.`,
    {
      remedy: "Load the model with `overflow: 'slide'`, which goes on, or with 'stop', which ends the answer there.",
      details: { answeredTokens, window },
    },
  );
}
