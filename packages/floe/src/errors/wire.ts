/** Errors across a thread: structured clone keeps neither class nor code, so both sides speak of plain records. */
import {
  ContextError,
  type ErrorCode,
  type ErrorDetail,
  ExpertsError,
  FloeError,
  GgufError,
  GpuError,
  InternalError,
  ModelError,
  NetError,
  NumericError,
  RequestError,
  SafetensorsError,
  StoreError,
  TextError,
  WorkerError,
} from './errors.ts';

/** A FloeError as a message: every field a caller may branch on, and its causes. */
export interface WireError {
  readonly code: ErrorCode;
  readonly name: string;
  readonly message: string;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, ErrorDetail>>;
  readonly stack: string;
  readonly cause: WireError | { readonly name: string; readonly message: string } | null;
}

const classes: Readonly<Record<string, new (code: never, message: string, options: never) => FloeError>> = {
  gguf: GgufError,
  safetensors: SafetensorsError,
  model: ModelError,
  text: TextError,
  net: NetError,
  store: StoreError,
  gpu: GpuError,
  experts: ExpertsError,
  context: ContextError,
  request: RequestError,
  numeric: NumericError,
  worker: WorkerError,
};

export function errorToWire(error: FloeError): WireError {
  return {
    code: error.code,
    name: error.name,
    message: error.message,
    remedy: error.remedy,
    retryable: error.retryable,
    details: error.details,
    stack: error.stack ?? '',
    cause: causeToWire(error.cause),
  };
}

function causeToWire(cause: unknown): WireError['cause'] {
  if (cause === undefined || cause === null) return null;
  if (cause instanceof FloeError) return errorToWire(cause);
  if (cause instanceof Error) return { name: cause.name, message: cause.message };
  return { name: typeof cause, message: String(cause) };
}

/** The same error on the other side: its class, code, values and causes; `stack` is where it was thrown. */
export function errorFromWire(wire: WireError): FloeError {
  const options = {
    remedy: wire.remedy,
    retryable: wire.retryable,
    details: wire.details,
    ...(wire.cause === null ? {} : { cause: causeFromWire(wire.cause) }),
  };
  const Class = classes[wire.code.split('/')[0] ?? ''];
  const error = Class ? new Class(wire.code as never, wire.message, options as never) : new InternalError(wire.message);
  error.stack = wire.stack;
  return error;
}

function causeFromWire(cause: NonNullable<WireError['cause']>): Error {
  if ('code' in cause) return errorFromWire(cause);
  const error = new Error(cause.message);
  error.name = cause.name;
  return error;
}
