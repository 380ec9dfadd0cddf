/** The worker: a model in a thread of its own. */
import { expose } from 'comlink';
import {
  type Adapter,
  type ChatCompletionChunk,
  type LoadOptions,
  loadInThread,
  type Model,
  planInThread,
  type ResumeOptions,
} from '../api/index.ts';
import { InternalError } from '../errors/index.ts';
import { browserHost } from '../host/index.ts';
import { type FetchFace, fetchThrough } from './fetchBridge.ts';
import { outcomeOf, type WireStream, type WorkerFace } from './protocol.ts';

let model: Model | null = null;
const aborts = new Map<number, AbortController>();
/** Never settles. Named, so that it is not collected, which would give the lock back. */
const alive = new Promise<void>(() => {});
const answers = new Map<number, AsyncIterator<ChatCompletionChunk>>();
const adapters = new Map<number, Adapter>();

function loaded(): Model {
  if (!model) throw new InternalError('the worker was asked before its model was loaded');
  return model;
}

/** Runs a call under a signal that `abort` fires. */
async function abortable<T>(call: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  aborts.set(call, controller);
  try {
    return await run(controller.signal);
  } finally {
    aborts.delete(call);
  }
}

/** Proxied: each of its functions answers with a promise. */
function fetchOf(page: FetchFace | null): Pick<LoadOptions, 'fetch'> {
  return page ? { fetch: fetchThrough(page as Parameters<typeof fetchThrough>[0]) } : {};
}

function streamOf(
  answer: WireStream,
  onProgress: ResumeOptions['onProgress'],
  signal: AbortSignal,
): AsyncIterable<ChatCompletionChunk> {
  if (answer.kind === 'resume') {
    const { name, rebuild } = answer;
    return loaded().conversations.resume(name, { rebuild, signal, ...(onProgress ? { onProgress } : {}) });
  }
  return answer.kind === 'chat'
    ? loaded().chat.completions.create({ ...answer.request, stream: true, signal })
    : loaded().completions.create({ ...answer.request, stream: true, signal });
}

const face: WorkerFace = {
  load: (call, source, options, onProgress, onExperts, onStored, fetch) =>
    outcomeOf(() =>
      abortable(call, async (signal) => {
        model = await loadInThread(browserHost(), source, {
          ...options,
          signal,
          onProgress,
          ...(onExperts ? { onExperts } : {}),
          ...(onStored ? { onStored } : {}),
          ...fetchOf(fetch),
        });
        return model.info;
      }),
    ),
  plan: (call, source, options, fetch) =>
    outcomeOf(() =>
      abortable(call, (signal) => planInThread(browserHost(), source, { ...options, signal, ...fetchOf(fetch) })),
    ),
  complete: (call, answer) =>
    outcomeOf(() =>
      abortable(call, async (signal) =>
        answer.kind === 'chat'
          ? loaded().chat.completions.create({ ...answer.request, signal })
          : loaded().completions.create({ ...answer.request, signal }),
      ),
    ),
  embed: (call, request) =>
    outcomeOf(() => abortable(call, (signal) => loaded().embeddings.create({ ...request, signal }))),
  stream: (call, answer, onProgress) =>
    outcomeOf(async () => {
      const controller = new AbortController();
      aborts.set(call, controller);
      answers.set(call, streamOf(answer, onProgress ?? undefined, controller.signal)[Symbol.asyncIterator]());
      return null;
    }),
  next: (call) =>
    outcomeOf(async () => {
      try {
        const result = await answers.get(call)?.next();
        if (result && !result.done) return result.value;
      } catch (error) {
        forget(call);
        throw error;
      }
      forget(call);
      return null;
    }),
  leave: (call) =>
    outcomeOf(async () => {
      const answer = answers.get(call);
      forget(call);
      await answer?.return?.();
      return null;
    }),
  abort: (call) => aborts.get(call)?.abort(),
  tokenize: (text, options) => outcomeOf(() => loaded().tokenize(text, options)),
  detokenize: (ids) => outcomeOf(() => loaded().detokenize(ids)),
  logprobs: (call, ids, top) => outcomeOf(() => abortable(call, (signal) => loaded().logprobs(ids, { top, signal }))),
  memory: () => outcomeOf(() => loaded().memory()),
  experts: () => outcomeOf(() => loaded().experts()),
  lossyCost: (call, ids) => outcomeOf(() => abortable(call, (signal) => loaded().lossyCost(ids, { signal }))),
  addAdapter: (call, source, options, fetch) =>
    outcomeOf(() =>
      abortable(call, async (signal) => {
        const adapter = await loaded().adapters.add(source as string | Blob, { ...options, signal, ...fetchOf(fetch) });
        adapters.set(adapter.id, adapter);
        const { id, name, scale, nTensors, rank, gpuBytes } = adapter;
        return { id, name, scale, nTensors, rank, gpuBytes };
      }),
    ),
  scaleAdapter: (id, scale) =>
    outcomeOf(async () => {
      await adapters.get(id)?.setScale(scale);
      return null;
    }),
  removeAdapter: (id) =>
    outcomeOf(async () => {
      await adapters.get(id)?.remove();
      return null;
    }),
  adapters: () => outcomeOf(() => loaded().adapters.list()),
  savedConversations: () => outcomeOf(() => loaded().conversations.list()),
  deleteConversation: (name) =>
    outcomeOf(async () => {
      await loaded().conversations.delete(name);
      return null;
    }),
  unload: () =>
    outcomeOf(async () => {
      await model?.unload();
      return null;
    }),
  holdAlive: (lock) =>
    new Promise((granted) => {
      void navigator.locks.request(lock, () => {
        granted();
        return alive;
      });
    }),
};

function forget(call: number): void {
  answers.delete(call);
  aborts.delete(call);
}

expose(face);
