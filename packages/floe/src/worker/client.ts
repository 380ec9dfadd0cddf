/** The page's side of the worker: `loadModel`, and a Model that passes every call on. */
import { proxy, type Remote, wrap } from 'comlink';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  EmbeddingsRequest,
  EmbeddingsResponse,
  ExpertsReport,
  LoadOptions,
  LoadPlan,
  LossyCost,
  MemoryReport,
  Model,
  ModelInfo,
  PlanOptions,
  PositionLogprobs,
  ResumeOptions,
  TextCompletion,
  TextCompletionRequest,
  TokenizeOptions,
} from '../api/index.ts';
import { abortedError, orAborted, RequestError, throwIfAborted, WorkerError } from '../errors/index.ts';
import type { DeviceOptions } from '../gpu/index.ts';
import { WorkerAdapters } from './adapters.ts';
import { pageFetch } from './fetchBridge.ts';
import {
  type Outcome,
  unwrap,
  type WireAnswer,
  type WireStream,
  type WorkerFace,
  wireSource,
  withoutSignal,
} from './protocol.ts';

/**
 * Opens a model and makes it ready to answer, in a worker of its own. The first time its weights come from `source`,
 * later from this origin's storage, with the network off too.
 *
 * @param source  A URL, a hub's address (`hf:owner/repo/file.gguf`, `hf:owner/repo@revision/file.gguf`), `File` or `Blob`
 *   of a GGUF. Of a split model (`-00001-of-00003.gguf`) any part's URL, or all its files. Of a model in safetensors its
 *   folder's URL, with a slash at its end, or its `config.json`'s, a hub's repository (`hf:owner/repo`), or all its files.
 * @param options.signal  Stops the load. What is stored by then stays, and the next try goes on from it.
 * @throws {GgufError} `gguf/*`: the file is broken, or of a kind Floe can't read; the message names what stood where.
 * @throws {ModelError} `model/*`: an architecture Floe can't run, or tensors that don't fit it.
 * @throws {NetError} `net/*`; {StoreError} `store/*`: fetching and keeping it.
 * @throws {GpuError} `gpu/unavailable`: no WebGPU here.
 * @example
 * const model = await loadModel('https://example.org/arctic-mini-sql-q4_0.gguf');
 * for await (const chunk of model.chat.completions.create({ messages, stream: true })) show(chunk);
 */
export async function loadModel(
  source: string | URL | Blob | readonly Blob[],
  options: LoadOptions = {},
): Promise<Model> {
  throwIfAborted(options.signal);
  const link = new WorkerLink();
  try {
    const { signal, onProgress, onExperts, onStored, fetch, ...rest } = options;
    const wire = wireSource(source);
    const report = proxy(onProgress ?? (() => {}));
    const experts = onExperts ? proxy(onExperts) : null;
    const stored = onStored ? proxy(onStored) : null;
    const page = pageFetch(fetch);
    const device = (options as { device?: DeviceOptions }).device;
    const load = link.call(signal, (worker, call) =>
      worker.load(call, wire, { ...rest, ...(device ? { device } : {}) }, report, experts, stored, page),
    );
    // Not for the worker's answer: it is ended below, wherever it is.
    const info = await orAborted(load, signal);
    // Asked of the page, since a worker can't; not awaited, since some browsers ask the person.
    if (info.loadedFrom === 'network') void navigator.storage?.persist?.();
    return new WorkerModel(link, info);
  } catch (error) {
    link.terminate();
    throw error;
  }
}

/**
 * What `loadModel` would put where within a budget, and what speed to expect of it, reckoned in a worker of its own; reads
 * the header only. Of an address it is taken that the whole model is kept in this origin's storage.
 *
 * @param source  As `loadModel` takes it.
 * @throws {ExpertsError} `experts/budget-too-small`, {ModelError} `model/budget-too-small`: `details.leastBytes` is the
 * least that works.
 * @throws {RequestError} `request/invalid`: a budget, context or rate that can't be.
 * @throws {FloeError} what reading a header throws: `gguf/*`, `model/*`, `net/*`.
 * @example
 * const { gpu, speeds } = await planLoad(url, { budget: { gpuBytes: 2e9, memoryBytes: 4e9 } });
 */
export async function planLoad(
  source: string | URL | Blob | readonly Blob[],
  { signal, fetch, ...options }: PlanOptions = {},
): Promise<LoadPlan> {
  throwIfAborted(signal);
  const link = new WorkerLink();
  try {
    const wire = wireSource(source);
    const page = pageFetch(fetch);
    const plan = link.call(signal, (worker, call) => worker.plan(call, wire, options, page));
    return await orAborted(plan, signal);
  } finally {
    link.terminate();
  }
}

let nWorkers = 0;

/** One worker and the calls that wait for it. If it dies, all of them are told. */
class WorkerLink {
  private readonly worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  private readonly remote: Remote<WorkerFace> = wrap<WorkerFace>(this.worker);
  private readonly died: Promise<never>;
  private end: (error: Error) => void = () => {};
  private readonly watch = new AbortController();
  private nCalls = 0;
  private terminated = false;

  constructor() {
    this.died = new Promise<never>((_, reject) => {
      this.end = reject;
      this.worker.addEventListener('error', (event) => reject(diedError(event.message || 'its script failed to load')));
      this.watchLock(reject);
    });
    // Nobody may be waiting when it happens.
    this.died.catch(() => {});
  }

  /** Calls the worker; the signal, if it fires, aborts the call there, and the worker answers with `request/aborted`. */
  async call<T>(
    signal: AbortSignal | undefined,
    send: (worker: Remote<WorkerFace>, call: number) => Promise<Outcome<T>>,
    call = this.newCall(),
  ): Promise<T> {
    throwIfAborted(signal);
    if (this.terminated) throw unloadedError();
    const onAbort = () => void this.remote.abort(call);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return unwrap(await Promise.race([send(this.remote, call), this.died]));
    } catch (error) {
      throw signal?.aborted && !(error instanceof RequestError) ? abortedError(signal.reason) : error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** A number by which the worker knows a call, or the many calls of one answer. */
  newCall(): number {
    return ++this.nCalls;
  }

  /** Ends the worker; what still waits for it is told that the model was unloaded. */
  terminate(): void {
    this.terminated = true;
    this.watch.abort();
    this.worker.terminate();
    this.end(unloadedError());
  }

  /** The worker holds a lock as long as it lives, however it ends; to be given it is to know. */
  private watchLock(reject: (error: WorkerError) => void): void {
    if (!navigator.locks) return;
    const lock = `floe:alive:${crypto.randomUUID()}:${++nWorkers}`;
    void this.remote
      .holdAlive(lock)
      .then(() =>
        navigator.locks
          .request(lock, { signal: this.watch.signal }, () => reject(diedError('it ended without a word')))
          .catch(() => {}),
      );
  }
}

/** A Model whose work is done elsewhere. */
class WorkerModel implements Model {
  readonly adapters: WorkerAdapters;
  private unloaded: Promise<void> | null = null;

  constructor(
    private readonly link: WorkerLink,
    readonly info: ModelInfo,
  ) {
    this.adapters = new WorkerAdapters((signal, send) => link.call(signal, send));
  }

  readonly chat = {
    completions: {
      create: ((request: ChatCompletionRequest & { stream?: boolean }) =>
        this.create(
          { kind: 'chat', request: withoutSignal(request) },
          request,
        )) as Model['chat']['completions']['create'],
    },
  };

  readonly completions = {
    create: ((request: TextCompletionRequest & { stream?: boolean }) =>
      this.create({ kind: 'text', request: withoutSignal(request) }, request)) as Model['completions']['create'],
  };

  readonly embeddings = {
    create: ({ signal, ...request }: EmbeddingsRequest): Promise<EmbeddingsResponse> =>
      this.link.call(signal, (worker, call) => worker.embed(call, request)),
  };

  readonly conversations = {
    list: () => this.link.call(undefined, (worker) => worker.savedConversations()),
    resume: (name: string, { rebuild = false, onProgress, signal }: ResumeOptions = {}) =>
      this.stream({ kind: 'resume', name, rebuild }, signal, onProgress),
    delete: async (name: string) => {
      await this.link.call(undefined, (worker) => worker.deleteConversation(name));
    },
  };

  tokenize(text: string, options: TokenizeOptions = {}): Promise<number[]> {
    return this.link.call(undefined, (worker) => worker.tokenize(text, options));
  }

  detokenize(ids: readonly number[]): Promise<string> {
    return this.link.call(undefined, (worker) => worker.detokenize(ids));
  }

  logprobs(ids: readonly number[], options: { top: number; signal?: AbortSignal }): Promise<PositionLogprobs[]> {
    return this.link.call(options.signal, (worker, call) => worker.logprobs(call, ids, options.top));
  }

  memory(): Promise<MemoryReport> {
    return this.link.call(undefined, (worker) => worker.memory());
  }

  experts(): Promise<ExpertsReport | null> {
    return this.link.call(undefined, (worker) => worker.experts());
  }

  lossyCost(ids: readonly number[], { signal }: { signal?: AbortSignal } = {}): Promise<LossyCost> {
    return this.link.call(signal, (worker, call) => worker.lossyCost(call, ids));
  }

  unload(): Promise<void> {
    this.unloaded ??= this.link
      .call(undefined, (worker) => worker.unload())
      .then(
        () => undefined,
        // What is dead holds nothing any more.
        (error: unknown) => {
          if (!(error instanceof WorkerError)) throw error;
        },
      )
      .finally(() => this.link.terminate());
    return this.unloaded;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.unload();
  }

  private create(
    answer: WireAnswer,
    { stream, signal }: { stream?: boolean; signal?: AbortSignal },
  ): AsyncIterable<ChatCompletionChunk> | Promise<ChatCompletion | TextCompletion> {
    if (stream) return this.stream(answer, signal);
    return this.link.call(signal, (worker, call) => worker.complete(call, answer));
  }

  private async *stream(
    answer: WireStream,
    signal: AbortSignal | undefined,
    onProgress?: ResumeOptions['onProgress'],
  ): AsyncGenerator<ChatCompletionChunk> {
    const progress = onProgress ? proxy(onProgress) : null;
    const id = this.link.newCall();
    await this.link.call(signal, (worker) => worker.stream(id, answer, progress), id);
    let ended = false;
    try {
      while (!ended) {
        const chunk = await this.link.call(signal, (worker) => worker.next(id), id);
        ended = chunk === null;
        if (chunk) yield chunk;
      }
    } finally {
      // Left by `break`, or by an error: the worker must not go on, and the next call must not wait for it.
      if (!ended) await this.link.call(undefined, (worker) => worker.leave(id)).catch(() => {});
    }
  }
}

function diedError(why: string): WorkerError {
  return new WorkerError('worker/died', `The worker that ran the model is gone: ${why}.`, {
    remedy: 'Load the model again: its weights are stored. If it happens again, take a smaller model.',
    retryable: true,
  });
}

function unloadedError(): RequestError {
  return new RequestError('request/invalid', 'The model was unloaded.', { remedy: 'Load it again with `loadModel`.' });
}
