/** Errors as the page shows them: what happened, what to do now, and the code to search for. */
import { FloeError } from 'floe';
import { button, el } from './dom.ts';

export interface ShownError {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly retryable: boolean;
}

/** Whatever was thrown, in the form the page shows. */
export function shown(thrown: unknown): ShownError {
  if (thrown instanceof FloeError) return thrown;
  const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return { code: 'page', message, remedy: 'This is a bug in the page: please report it.', retryable: false };
}

/** True where a call ended because its caller wanted it to. */
export function isAbort(thrown: unknown): boolean {
  return thrown instanceof FloeError && thrown.code === 'request/aborted';
}

/** True where the model behind the error can't answer again. */
export function isFatal(thrown: unknown): boolean {
  return thrown instanceof FloeError && isFatalCode(thrown.code);
}

function isFatalCode(code: string): boolean {
  return code.startsWith('gpu/') || code === 'worker/died';
}

/** The box with the message, the remedy and the code; with a button where the same call may succeed later. */
export function errorBox(error: ShownError, retry?: () => void): HTMLElement {
  const box = el(
    'div',
    { class: 'error', testid: 'error' },
    el('p', { class: 'error-message', testid: 'error-message' }, error.message),
    el('p', { testid: 'error-remedy' }, error.remedy),
  );
  const foot = el('p', { class: 'error-foot' }, el('code', { testid: 'error-code' }, error.code));
  if (retry && error.retryable) {
    foot.append(button(isFatalCode(error.code) ? 'Load again' : 'Try again', { testid: 'retry', onclick: retry }));
  }
  box.append(foot);
  return box;
}
