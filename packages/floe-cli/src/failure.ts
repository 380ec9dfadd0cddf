/** How an error is told to a person, and to a script. */

/** The fields of a FloeError, known by shape: the one thrown may come from another copy of the library. */
interface TypedError extends Error {
  readonly code: string;
  readonly remedy: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** The command line does not say what to do. */
export class UsageError extends Error implements TypedError {
  readonly code = 'request/invalid';
  readonly details = {};
  constructor(
    message: string,
    readonly remedy: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'UsageError';
  }
}

function isTyped(error: unknown): error is TypedError {
  return error instanceof Error && typeof (error as Partial<TypedError>).code === 'string' && 'remedy' in error;
}

/** Anything caught, as a typed error; what has no type is a bug. */
export function asTyped(error: unknown): TypedError {
  if (isTyped(error)) return error;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return Object.assign(new Error(message, { cause: error }), {
    code: 'internal',
    remedy: 'This is a bug in Floe: please report it with this message and the file it happened on.',
    details: {},
  });
}

/** `error <code>: message`, and what to do on the next line. */
export function forPeople(error: unknown): string {
  const { code, message, remedy } = asTyped(error);
  return `error ${code}: ${message}\n${remedy ? `${remedy}\n` : ''}`;
}

export function forScripts(error: unknown): string {
  const { code, message, remedy, details } = asTyped(error);
  return `${JSON.stringify({ error: { code, message, remedy, details } })}\n`;
}
