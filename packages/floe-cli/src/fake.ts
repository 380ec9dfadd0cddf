/** For tests: a terminal without a process, and a model that always answers `SELECT 1;`. */
import type { ChatCompletionChunk, CompletionRequest, EmbeddingsRequest, LoadNotice, LoadPlan, Model } from 'floe/node';
import type { Context } from './command.ts';
import type { Runtime } from './runtime.ts';

export interface FakeOptions {
  readonly hasChatTemplate?: boolean;
  readonly contextLength?: number;
  /** The id put before a text; none by default. */
  readonly bos?: number;
  readonly errIsTerminal?: boolean;
  readonly input?: string | Uint8Array;
  readonly lines?: readonly string[];
  /** Thrown by every call of the runtime, or by `failAt` only. */
  readonly failure?: Error;
  readonly failAt?: 'chat' | 'embeddings';
  /** Pieces of the trace a load gives, where one is wanted. */
  readonly trace?: readonly string[];
  /** In a layer; 0 for a model without. Default 8. */
  readonly nExperts?: number;
  /** Experts that are still on the server, of 16. */
  readonly nAbsent?: number;
  /** What the model says of its load. */
  readonly notice?: LoadNotice;
  /** Ctrl-C after so many chunks of an answer. */
  readonly interruptAfter?: number;
}

type Call = readonly [name: string, ...args: unknown[]];

export interface Fake {
  readonly context: Context;
  readonly calls: Call[];
  readonly out: () => string;
  readonly err: () => string;
}

const usage = {
  prompt_tokens: 3,
  completion_tokens: 2,
  total_tokens: 5,
  droppedTokens: 0,
  cachedTokens: 0,
  prefillMs: 10,
  decodeMs: 10,
};
const N_VOCAB = 200;

export function fakeContext(options: FakeOptions): Fake {
  const calls: Call[] = [];
  const out: string[] = [];
  const err: string[] = [];
  const interrupt = new AbortController();
  const lines = [...(options.lines ?? [])];
  const input = typeof options.input === 'string' ? new TextEncoder().encode(options.input) : options.input;
  const context: Context = {
    runtime: fakeRuntime(options, calls, interrupt),
    signal: interrupt.signal,
    terminal: {
      out: (text) => void out.push(text),
      err: (text) => void err.push(text),
      errIsTerminal: options.errIsTerminal ?? false,
      readInput: async () => input ?? new Uint8Array(),
      openLines: () => ({ next: async () => lines.shift() ?? null, close: () => {} }),
    },
  };
  return { context, calls, out: () => out.join(''), err: () => err.join('') };
}

function fakeRuntime(options: FakeOptions, calls: Call[], interrupt: AbortController): Runtime {
  const fail = (): void => {
    if (options.failure && options.failAt === undefined) throw options.failure;
  };
  return {
    loadModel: async (source, { onProgress, onTrace, signal: _, ...asked }) => {
      calls.push(['loadModel', source, asked]);
      fail();
      for (const text of options.trace ?? []) onTrace?.(new TextEncoder().encode(text));
      onProgress?.({ phase: 'download', file: 'model.gguf', loaded: 2 ** 20, total: 2 ** 21, notices: [] });
      return fakeModel(options, calls, interrupt);
    },
    planLoad: async (source, { signal: _, ...asked }) => {
      calls.push(['planLoad', source, asked]);
      fail();
      return fakePlan();
    },
    inspectModel: async () => {
      fail();
      const tokens = Array.from({ length: 9 }, (_, i) => String(i));
      return {
        version: 3,
        architecture: 'arctic',
        sizeBytes: 2 ** 21,
        metadata: [
          ['big', 2n ** 53n + 1n],
          ['small', 7n],
          ['eps', Math.fround(1e-5)],
          ['flags', new Uint8Array([1, 0])],
          ['tokenizer.ggml.tokens', tokens],
        ],
        tensors: [{ name: 'token_embd.weight', type: 'Q8_0', shape: [9, 32], sizeBytes: 306, offset: 512 }],
      };
    },
    openTokenizer: async () => ({
      tokenize: (text, asked) => {
        calls.push(['tokenize', asked]);
        return codePoints(text);
      },
    }),
  };
}

const counts = {
  ...{ hits: 7, misses: 3, evictions: 2, loads: 3, stallMs: 1.5, blockingWaits: 4, nTokens: 2, faultedLayers: 2 },
  ...{ guesses: 1, dropped: 0, droppedMass: 0 },
};

/** A model of a dense layer and 2 x 8 experts, 6 of which lie on the GPU. */
function fakePlan(): LoadPlan {
  const speed = { hitRate: 0.5, loadsPerToken: { memory: 1.25, storage: 0.5, network: 0.25 }, bytesPerToken: 2e9 };
  return {
    ...{ name: 'a model', architecture: 'arctic', quantization: 'Q4_0', fileBytes: 18e9 },
    ...{
      nLayers: 3,
      nRoutedLayers: 2,
      nExperts: 8,
      nExpertsUsed: 2,
      expertBytes: 1e9,
      contextLength: 4096,
      kv: 'F16',
      conversations: 2,
      minimumGpuBytes: 4.5e9,
    },
    gpu: {
      ...{ bytes: 7.5e9, denseBytes: 1e9, kvBytes: 0.3e9, activationBytes: 0.15e9, otherBytes: 0.05e9 },
      ...{ slotBytes: 6e9, nSlots: 6 },
    },
    memory: { nExperts: 8, bytes: 8e9 },
    storage: { nExperts: 12, bytes: 12e9 },
    network: { nExperts: 4, bytes: 4e9 },
    notices: [{ kind: 'paged', message: '6 of 16 experts fit.' }],
    embeddings: null,
    rates: { gpu: 100e9, upload: 4e9, storage: 0.4e9, network: 12.5e6 },
    residentTokensPerSecond: 12.34,
    speeds: [
      { routing: 'flat', ...speed, msPerToken: 10_000, tokensPerSecond: 0.1 },
      { routing: 'mid', ...speed, msPerToken: 3000, tokensPerSecond: 1 / 3 },
      { routing: 'hot', ...speed, msPerToken: 400, tokensPerSecond: 2.5 },
    ],
  };
}

const codePoints = (text: string): number[] => Array.from(text, (character) => character.codePointAt(0)!);

function fakeModel(options: FakeOptions, calls: Call[], interrupt: AbortController): Model {
  const { hasChatTemplate = true, contextLength = 4096, nExperts = 8, nAbsent = 0, notice, bos } = options;
  const places = new Uint8Array(16).fill(3).fill(0, 0, nAbsent);
  const info = { hasChatTemplate, contextLength, nVocab: N_VOCAB, nExperts, notices: notice ? [notice] : [] };
  const answer = { text: 'SELECT 1;', ids: [5, 6], finish_reason: 'stop', usage };
  const whole = { chat: { choices: [{ message: { content: answer.text }, ...answer }], usage }, completions: answer };
  const create = (kind: 'chat' | 'completions') => (request: CompletionRequest & { stream?: boolean }) => {
    calls.push([kind, request]);
    const failure = options.failAt === kind ? options.failure : undefined;
    if (request.stream) return chunks(options, interrupt, failure);
    return failure ? Promise.reject(failure) : Promise.resolve(whole[kind]);
  };
  const model = {
    info,
    chat: { completions: { create: create('chat') } },
    completions: { create: create('completions') },
    tokenize: async (text: string, asked?: { addSpecial?: boolean }) =>
      asked?.addSpecial && bos !== undefined ? [bos, ...codePoints(text)] : codePoints(text),
    embeddings: {
      create: async (request: EmbeddingsRequest) => {
        const { signal: _, ...asked } = request;
        calls.push(['embeddings', asked]);
        if (options.failAt === 'embeddings' && options.failure) throw options.failure;
        return {
          data: [{ object: 'embedding', index: 0, embedding: [0.6, -0.8] }],
          usage: { prompt_tokens: 4, total_tokens: 4 },
        };
      },
    },
    logprobs: async (ids: readonly number[], asked: { top: number }) => {
      calls.push(['logprobs', ids, asked]);
      // Every id is as likely as any other.
      const logprob = -Math.log(N_VOCAB);
      const top = Array.from({ length: asked.top }, (_, id) => [id, logprob] as const);
      return ids.map((_, position) => ({ position, top, ...(position + 1 < ids.length ? { next: logprob } : {}) }));
    },
    lossyCost: async (ids: readonly number[]) => {
      calls.push(['lossyCost', ids.length]);
      return { nTokens: ids.length - 1, nRouted: 1000, dropped: 125, droppedMass: 0.05, meanKl: 0.0025 };
    },
    adapters: {
      add: async (source: unknown, asked: { scale: number }) => void calls.push(['addAdapter', source, asked.scale]),
    },
    experts: async () => (nExperts === 0 ? null : { nSlots: 9, places, counts }),
    unload: async () => void calls.push(['unload']),
  };
  // Only what the commands use is there.
  return model as unknown as Model;
}

async function* chunks(options: FakeOptions, interrupt: AbortController, failure: Error | undefined) {
  if (failure) throw failure;
  for (const [i, content] of ['SELECT', ' 1;'].entries()) {
    if (options.interruptAfter === i) interrupt.abort();
    if (interrupt.signal.aborted) throw aborted();
    yield { choices: [{ index: 0, delta: { content }, finish_reason: null }] } as unknown as ChatCompletionChunk;
  }
  yield { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage } as unknown as ChatCompletionChunk;
}

function aborted(): Error {
  const message = 'The call was aborted by its signal.';
  return Object.assign(new Error(message), { code: 'request/aborted', remedy: 'Call again.', details: {} });
}
