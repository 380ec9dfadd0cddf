/** Every error Floe throws: a class to catch, a stable `code` to branch on, and what to do about it. */

/** `area/what`; the area is the floor or the part a user knows. docs/errors.md lists them all. */
export type ErrorCode =
  | 'gguf/not-gguf'
  | 'gguf/version'
  | 'gguf/truncated'
  | 'gguf/invalid'
  | 'gguf/unsupported-type'
  | 'gguf/out-of-bounds'
  | 'gguf/split'
  | 'safetensors/missing-file'
  | 'safetensors/truncated'
  | 'safetensors/invalid'
  | 'safetensors/unsupported-type'
  | 'model/unsupported-architecture'
  | 'model/missing-tensor'
  | 'model/shape'
  | 'model/adapter'
  | 'model/adapter-budget'
  | 'model/budget-too-small'
  | 'text/vocabulary'
  | 'text/pre-tokenizer'
  | 'text/template'
  | 'text/template-timeout'
  | 'net/offline'
  | 'net/http'
  | 'net/range'
  | 'net/timeout'
  | 'net/source-changed'
  | 'store/quota'
  | 'store/corrupt'
  | 'store/evicted'
  | 'store/blocked'
  | 'gpu/unavailable'
  | 'gpu/limits'
  | 'gpu/out-of-memory'
  | 'gpu/lost'
  | 'gpu/compile'
  | 'experts/budget-too-small'
  | 'experts/absent'
  | 'context/full'
  | 'context/kv-full'
  | 'context/not-saved'
  | 'context/damaged'
  | 'context/other-model'
  | 'request/aborted'
  | 'request/busy'
  | 'request/invalid'
  | 'request/unsupported'
  | 'numeric/not-finite'
  | 'worker/died'
  | 'internal';

/** A value that crosses a worker unchanged. */
export type ErrorDetail = string | number | boolean | null | readonly ErrorDetail[];

export interface ErrorOptions {
  /** What the reader of the message can do now. */
  remedy: string;
  /** True where the same call may succeed later without a change. */
  retryable?: boolean;
  /** The values the message is made of, for callers that branch on them. */
  details?: Readonly<Record<string, ErrorDetail>>;
  cause?: unknown;
}

/** The base of every error Floe throws. Branch on `code`; show `message` and `remedy`. */
export class FloeError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, ErrorDetail>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.code = code;
    this.remedy = options.remedy;
    this.retryable = options.retryable ?? false;
    this.details = Object.freeze({ ...options.details });
  }
}

type Area<A extends string> = Extract<ErrorCode, `${A}/${string}`>;
/** One class for an area, whose constructor takes that area's codes only. */
class AreaError<A extends string> extends FloeError {
  constructor(code: Area<A>, message: string, options: ErrorOptions) {
    super(code, message, options);
  }
}

/** The file is not the GGUF it says it is, or holds what Floe has no reader for. */
export class GgufError extends AreaError<'gguf'> {}
/** The files of a model in safetensors: one is missing, damaged, or holds what Floe has no reader for. */
export class SafetensorsError extends AreaError<'safetensors'> {}
/** The file is a sound GGUF whose meaning Floe can't run. */
export class ModelError extends AreaError<'model'> {}
/** Vocabulary, pre-tokenizer or chat template. */
export class TextError extends AreaError<'text'> {}
/** Fetching. `details.url`, and `details.status` where a server answered. */
export class NetError extends AreaError<'net'> {}
/** This origin's storage. */
export class StoreError extends AreaError<'store'> {}
/** The WebGPU device. */
export class GpuError extends AreaError<'gpu'> {}
/** Expert slots and their budget. */
export class ExpertsError extends AreaError<'experts'> {}
/** The conversation and its key-value cache. */
export class ContextError extends AreaError<'context'> {}
/** A call: aborted, refused, or with an argument that can't be. */
export class RequestError extends AreaError<'request'> {}
/** NaN or infinity where a number should be. */
export class NumericError extends AreaError<'numeric'> {}
/** The worker behind a client is gone. */
export class WorkerError extends AreaError<'worker'> {}

/** A bug in Floe. Its number in the fault suite is zero. */
export class InternalError extends FloeError {
  constructor(message: string, cause?: unknown) {
    super('internal', message, {
      remedy: 'This is a bug in Floe: please report it with this message and the file it happened on.',
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

/** Throws `request/aborted` if `signal` has fired. Called before every submit, chunk, hash and template. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal.reason);
}

/**
 * `promise`, or `request/aborted` as soon as `signal` fires. What the promise stands for goes on unheard: for waits that
 * nothing can stop, like a compile.
 */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  throwIfAborted(signal);
  if (!signal) return promise;
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(abortedError(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * Resolves when `turn` comes. Who is aborted before hears so at once; its turn comes all the same, and is passed on.
 * @throws {RequestError} `request/aborted`
 */
export async function turnOrAborted(
  turn: Promise<void>,
  passOn: () => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await orAborted(turn, signal);
  } catch (error) {
    void turn.then(passOn);
    throw error;
  }
}

/** What a call rejects with when its `signal` fires. */
export function abortedError(cause?: unknown): RequestError {
  return new RequestError('request/aborted', 'The call was aborted by its signal.', {
    remedy: 'Nothing is lost: what was stored or answered so far stays. Call again to go on.',
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A caught value as a FloeError: itself if it is one, else an InternalError that names it. */
export function asFloeError(value: unknown): FloeError {
  if (value instanceof FloeError) return value;
  if (value instanceof Error) return new InternalError(`${value.name}: ${value.message}`, value);
  return new InternalError(`Something that is no Error was thrown: ${String(value)}`);
}
