/** What the two sides of the worker say to each other. Errors travel as records, since structured clone keeps no class. */
import type { Remote } from 'comlink';
import type {
  AdapterInfo,
  AdapterOptions,
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  CompletionRequest,
  EmbeddingsRequest,
  EmbeddingsResponse,
  ExpertsReport,
  LoadOptions,
  LoadPlan,
  LoadProgress,
  LossyCost,
  MemoryReport,
  ModelInfo,
  PlanOptions,
  PositionLogprobs,
  ResumeOptions,
  SavedConversationInfo,
  StoredProgress,
  TextCompletion,
  TextCompletionRequest,
  TokenizeOptions,
} from '../api/index.ts';
import { asFloeError, errorFromWire, errorToWire, RequestError, type WireError } from '../errors/index.ts';
import type { DeviceOptions } from '../gpu/index.ts';
import type { FetchFace } from './fetchBridge.ts';

export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: WireError };

/** Without what can't be cloned: signals and callbacks have their own way. */
type Cloneable<T> = Omit<T, 'signal' | 'onProgress' | 'onExperts' | 'onStored' | 'fetch' | 'stream'>;
export type WireLoadOptions = Cloneable<LoadOptions> & { readonly device?: DeviceOptions };
export type WireAnswer =
  | { readonly kind: 'chat'; readonly request: Cloneable<ChatCompletionRequest> }
  | { readonly kind: 'text'; readonly request: Cloneable<TextCompletionRequest> };
export type WireAdapterOptions = Cloneable<AdapterOptions>;
/** What is streamed: an answer, or one that was saved and goes on. */
export type WireStream = WireAnswer | { readonly kind: 'resume'; readonly name: string; readonly rebuild: boolean };
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
  plan(
    call: number,
    source: WireSource,
    options: Cloneable<PlanOptions>,
    fetch: FetchFace | null,
  ): Promise<Outcome<LoadPlan>>;
  complete(call: number, answer: WireAnswer): Promise<Outcome<ChatCompletion | TextCompletion>>;
  embed(call: number, request: Cloneable<EmbeddingsRequest>): Promise<Outcome<EmbeddingsResponse>>;
  /** Begins an answer; `next` gives its chunks, and null behind the last. An answer nobody draws from pauses. */
  stream(call: number, answer: WireStream, onProgress: ResumeOptions['onProgress'] | null): Promise<Outcome<null>>;
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
  /** An adapter is named by its id from then on. */
  addAdapter(
    call: number,
    source: WireSource,
    options: WireAdapterOptions,
    fetch: FetchFace | null,
  ): Promise<Outcome<AdapterInfo>>;
  scaleAdapter(id: number, scale: number): Promise<Outcome<null>>;
  removeAdapter(id: number): Promise<Outcome<null>>;
  adapters(): Promise<Outcome<readonly AdapterInfo[]>>;
  savedConversations(): Promise<Outcome<SavedConversationInfo[]>>;
  deleteConversation(name: string): Promise<Outcome<null>>;
  unload(): Promise<Outcome<null>>;
  /** Takes the lock whose release tells the page that this worker is gone; resolves once it is held. */
  holdAlive(lock: string): Promise<void>;
}

/** Calls the worker: `request/aborted` once the signal fires, `worker/died` where it is gone. */
export type Send = <T>(
  signal: AbortSignal | undefined,
  send: (worker: Remote<WorkerFace>, call: number) => Promise<Outcome<T>>,
) => Promise<T>;

/** A source as it crosses: addresses whole, for a worker has another base. */
export function wireSource(source: string | URL | Blob | readonly Blob[] | { readonly path: string }): WireSource {
  if (source instanceof Blob) return source;
  if (typeof source === 'string' || source instanceof URL) return new URL(source, globalThis.location?.href).href;
  if ('path' in source) throw noPath(source.path);
  return [...source];
}

function noPath(path: string): RequestError {
  return new RequestError('request/invalid', `${path} is a path, which a page can't open.`, {
    remedy: 'Give an address, or a `File` that a person chose.',
    details: { path },
  });
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
