/** What the two sides of the worker say to each other. Errors travel as records, since structured clone keeps no class. */
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  CompletionRequest,
  EmbeddingsRequest,
  EmbeddingsResponse,
  ExpertsReport,
  LoadOptions,
  LoadProgress,
  LossyCost,
  MemoryReport,
  ModelInfo,
  PositionLogprobs,
  StoredProgress,
  TextCompletion,
  TextCompletionRequest,
  TokenizeOptions,
} from '../api/index.ts';
import { asFloeError, errorFromWire, errorToWire, type WireError } from '../errors/index.ts';
import type { DeviceOptions } from '../gpu/index.ts';
import type { FetchFace } from './fetchBridge.ts';

export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: WireError };

/** Without what can't be cloned: signals and callbacks have their own way. */
type Cloneable<T> = Omit<T, 'signal' | 'onProgress' | 'onExperts' | 'onStored' | 'fetch' | 'stream'>;
export type WireLoadOptions = Cloneable<LoadOptions> & { readonly device?: DeviceOptions };
export type WireAnswer =
  | { readonly kind: 'chat'; readonly request: Cloneable<ChatCompletionRequest> }
  | { readonly kind: 'text'; readonly request: Cloneable<TextCompletionRequest> };
export type WireSource = string | Blob | readonly Blob[];

/** The worker's side. `call` names one call of the page, so that it can be aborted and, if an answer, drawn piece by piece. */
export interface WorkerFace {
  load(
    call: number,
    source: WireSource,
    options: WireLoadOptions,
    onProgress: (progress: LoadProgress) => void,
    onExperts: ((report: ExpertsReport) => void) | null,
    onStored: ((progress: StoredProgress) => void) | null,
    /** Where the page has a `fetch` of its own. */
    fetch: FetchFace | null,
  ): Promise<Outcome<ModelInfo>>;
  complete(call: number, answer: WireAnswer): Promise<Outcome<ChatCompletion | TextCompletion>>;
  embed(call: number, request: Cloneable<EmbeddingsRequest>): Promise<Outcome<EmbeddingsResponse>>;
  /** Begins an answer; `next` gives its chunks, and null behind the last. An answer nobody draws from pauses. */
  stream(call: number, answer: WireAnswer): Promise<Outcome<null>>;
  next(call: number): Promise<Outcome<ChatCompletionChunk | null>>;
  /** Ends an answer before its end, as leaving a loop does. */
  leave(call: number): Promise<Outcome<null>>;
  abort(call: number): void;
  tokenize(text: string, options: TokenizeOptions): Promise<Outcome<number[]>>;
  detokenize(ids: readonly number[]): Promise<Outcome<string>>;
  logprobs(call: number, ids: readonly number[], top: number): Promise<Outcome<PositionLogprobs[]>>;
  memory(): Promise<Outcome<MemoryReport>>;
  experts(): Promise<Outcome<ExpertsReport | null>>;
  lossyCost(call: number, ids: readonly number[]): Promise<Outcome<LossyCost>>;
  unload(): Promise<Outcome<null>>;
  /** Takes the lock whose release tells the page that this worker is gone; resolves once it is held. */
  holdAlive(lock: string): Promise<void>;
}

export async function outcomeOf<T>(run: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await run() };
  } catch (error) {
    return { ok: false, error: errorToWire(asFloeError(error)) };
  }
}

/** The value, or the error thrown here as it was thrown there. */
export function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw errorFromWire(outcome.error);
}

export function withoutSignal<T extends CompletionRequest & { stream?: boolean }>(request: T): Cloneable<T> {
  const { signal: _signal, stream: _stream, ...rest } = request;
  return rest as Cloneable<T>;
}
