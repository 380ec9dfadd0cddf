/** The life of one model in the page: load, answer, unload. Changes the state; draws nothing. */
import {
  type ChatCompletionChunk,
  type ChatMessage,
  type FinishReason,
  type LoadNotice,
  type LoadOptions,
  type LoadProgress,
  loadModel,
  type Model,
  type StoredProgress,
  type Usage,
} from 'floe';
import { isAbort, isFatal, shown } from './errors.ts';
import { ExpertFeed } from './expertFeed.ts';
import { Feed } from './feed.ts';
import { SAVED_AS } from './keptChat.ts';
import { bundled, labelOf, type ModelSource } from './models.ts';
import { Rate } from './rate.ts';
import { type Loaded, loaded, type Store } from './state.ts';

/** What the library takes besides its documented options: to run as on a device that offers no more than it must. */
type InternalLoadOptions = LoadOptions & { readonly device?: { readonly limits: 'default' } };

/** How much of the GPU, as the library takes it. */
export type GpuBudget = NonNullable<NonNullable<LoadOptions['budget']>['gpuBytes']>;

export interface Question {
  readonly messages: readonly ChatMessage[];
  readonly temperature: number;
}

export interface AnswerEnd {
  readonly finishReason: FinishReason | 'stopped';
  readonly usage: Usage | null;
  /** Tokens that the model sees at once. */
  readonly window: number;
}

/** Room for the longest statement, and an end to a small model that repeats itself. */
const MAX_TOKENS = 1024;

export class Session {
  /** What the loaded model says of its experts. */
  readonly experts = new ExpertFeed();
  /** How much of it is stored, where it answers before all of it came; else null. */
  readonly arriving = new Feed<StoredProgress | null>(null);
  #load: AbortController | null = null;
  #answer: AbortController | null = null;

  constructor(
    readonly store: Store,
    private readonly limits: 'default' | null,
  ) {}

  /** Loads a model where none is loaded. A failure becomes the state 'error'. */
  async load(source: ModelSource): Promise<void> {
    const { kind } = this.store.current;
    if (kind === 'idle' || kind === 'error') await this.#open(source, null);
  }

  /** Loads the model again, with another share of its experts on the GPU. Its weights are stored, or on this device. */
  async loadWithin(gpuBytes: GpuBudget): Promise<void> {
    const state = this.store.current;
    if (state.kind === 'ready' && (await this.#giveBack(state))) await this.#open(state.source, gpuBytes);
  }

  async #open(source: ModelSource, gpuBytes: GpuBudget | null): Promise<void> {
    const abort = new AbortController();
    this.#load = abort;
    this.arriving.set(null);
    this.store.set({ kind: 'loading', source, progress: null, bytesPerSecond: 0 });
    try {
      const model = await loadModel(target(source), this.#loadOptions(source, gpuBytes, abort.signal));
      this.store.set(await this.#firstLook(model, source, abort.signal));
    } catch (thrown) {
      const stopped = abort.signal.aborted || isAbort(thrown);
      this.store.set(stopped ? { kind: 'idle' } : { kind: 'error', source, error: shown(thrown) });
    } finally {
      this.#load = null;
    }
  }

  /** A loaded model with its first reports. Where that fails or is stopped, the model is given back. */
  async #firstLook(model: Model, source: ModelSource, signal: AbortSignal): Promise<Loaded> {
    try {
      const reports = Promise.all([model.memory(), model.experts()]);
      const [memory, experts] = await unlessAborted(reports, signal);
      this.experts.begin(experts);
      return { kind: 'ready', source, model, memory };
    } catch (thrown) {
      // What stood in the way of the report is what there is to tell.
      await model.unload().catch(() => {});
      throw thrown;
    }
  }

  #loadOptions(source: ModelSource, gpuBytes: GpuBudget | null, signal: AbortSignal): InternalLoadOptions {
    const rate = new Rate();
    const told: LoadNotice[] = [];
    const onProgress = (progress: LoadProgress): void => {
      if (this.store.current.kind !== 'loading') return;
      const bytesPerSecond = rate.at(progress.phase, progress.loaded, performance.now());
      // What was said once holds for the whole load.
      told.push(...progress.notices.filter(({ message }) => !told.some((earlier) => earlier.message === message)));
      this.store.set({ kind: 'loading', source, progress: { ...progress, notices: [...told] }, bytesPerSecond });
    };
    return {
      signal,
      onProgress,
      onStored: (stored) => {
        if (!signal.aborted) this.arriving.set(stored);
      },
      // Not before the first report, nor after the last.
      onExperts: (report) => {
        if (this.store.current.kind === 'answering') this.experts.add(report);
      },
      ...(gpuBytes === null ? {} : { budget: { gpuBytes } }),
      ...(source.kind === 'bundled' ? { sha256: bundled.sha256 } : {}),
      ...(this.limits ? { device: { limits: this.limits } } : {}),
    };
  }

  cancelLoad(): void {
    this.#load?.abort();
  }

  /** Streams an answer into `onText`, saved as it grows. Throws what the library throws; a stop is not an error. */
  ask({ messages, temperature }: Question, onText: (text: string) => void): Promise<AnswerEnd> {
    return this.#stream(async (model, signal) => {
      const save = (await this.#canSave(model)) ? { save: SAVED_AS } : {};
      const request = { max_tokens: MAX_TOKENS, temperature, signal, stream: true, ...save } as const;
      return model.info.hasChatTemplate
        ? model.chat.completions.create({ ...request, messages })
        : model.completions.create({ ...request, prompt: messages.map((message) => message.content).join('\n\n') });
    }, onText);
  }

  /** Streams the answer that was saved last: what it had, and how it goes on. */
  resume(onText: (text: string) => void): Promise<AnswerEnd> {
    return this.#stream(
      async (model, signal) => model.conversations.resume(SAVED_AS, { rebuild: true, signal }),
      onText,
    );
  }

  /** Whether there is an answer to resume. */
  async hasSaved(): Promise<boolean> {
    const saved = await loaded(this.store.current)
      ?.model.conversations.list()
      .catch(() => []);
    return saved?.some(({ name }) => name === SAVED_AS) ?? false;
  }

  /** Deletes what is saved. What can't be deleted will be replaced. */
  async forget(): Promise<void> {
    await loaded(this.store.current)
      ?.model.conversations.delete(SAVED_AS)
      .catch(() => {});
  }

  /** Where there is no storage, an answer that is to be saved would be refused. */
  #canSave(model: Model): Promise<boolean> {
    return model.conversations.list().then(
      () => 'indexedDB' in globalThis,
      () => false,
    );
  }

  async #stream(
    begin: (model: Model, signal: AbortSignal) => Promise<AsyncIterable<ChatCompletionChunk>>,
    onText: (text: string) => void,
  ): Promise<AnswerEnd> {
    const state = this.store.current;
    if (state.kind !== 'ready') throw new Error(`Asked while ${state.kind}`);
    const { model } = state;
    const { window } = model.info.context;
    const abort = new AbortController();
    this.#answer = abort;
    this.store.set({ ...state, kind: 'answering' });
    try {
      let end: AnswerEnd = { finishReason: 'stop', usage: null, window };
      for await (const { choices, usage } of await begin(model, abort.signal)) {
        const [{ delta, finish_reason }] = choices;
        if (delta.content) onText(delta.content);
        if (finish_reason) end = { finishReason: finish_reason, usage: usage ?? null, window };
      }
      return end;
    } catch (thrown) {
      if (isAbort(thrown)) return { finishReason: 'stopped', usage: null, window };
      if (isFatal(thrown)) await this.#fail(thrown);
      throw thrown;
    } finally {
      this.#answer = null;
      const now = this.store.current;
      if (now.kind === 'answering') this.store.set({ ...now, kind: 'ready' });
      // Reports come now and then; this is the answer's last word.
      void this.lookAtExperts();
    }
  }

  /** Asks where the experts are now. What a model that is gone has to say is not missed. */
  async lookAtExperts(): Promise<void> {
    const state = loaded(this.store.current);
    const report = await state?.model.experts().catch(() => null);
    if (report && loaded(this.store.current)?.model === state?.model) this.experts.add(report);
  }

  stop(): void {
    this.#answer?.abort();
  }

  async unload(): Promise<void> {
    const state = loaded(this.store.current);
    if (!state) return;
    this.stop();
    if (await this.#giveBack(state)) this.store.set({ kind: 'idle' });
  }

  /** Unloads; false where that failed, which is the state then. */
  async #giveBack({ source, model }: Loaded): Promise<boolean> {
    this.store.set({ kind: 'unloading', source });
    try {
      await model.unload();
      return true;
    } catch (thrown) {
      this.store.set({ kind: 'error', source, error: shown(thrown) });
      return false;
    }
  }

  async #fail(thrown: unknown): Promise<void> {
    const state = loaded(this.store.current);
    if (!state) return;
    this.store.set({ kind: 'error', source: state.source, error: { ...shownFields(thrown), retryable: true } });
    // The model is beyond use; that it can't be unloaded in order any more is no news.
    await state.model.unload().catch(() => {});
  }

  /** What to call the model that is loading or loaded. */
  get label(): string {
    const state = this.store.current;
    return state.kind === 'idle' ? '' : labelOf(state.source);
  }
}

/** The value, or a rejection as soon as the signal fires. */
function unlessAborted<T>(value: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    value.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** An Error's message doesn't survive a spread. */
function shownFields(thrown: unknown): { code: string; message: string; remedy: string } {
  const { code, message, remedy } = shown(thrown);
  return { code, message, remedy };
}

function target(source: ModelSource): string | File {
  if (source.kind === 'bundled') return bundled.url;
  return source.kind === 'url' ? source.url : source.file;
}
