/** The public face: what a model in the page adds to OpenAI's completions. */
import type { ExpertCounts } from '../experts/index.ts';
import type { LossyCost } from '../generate/index.ts';
import type { KvFormatName } from '../kernels/index.ts';
import type { GpuBudget, Overflow, Pooling } from '../model/index.ts';
import type { BackgroundProgress as StoredProgress } from '../store/index.ts';
import type { ModelAdapters } from './adapterTypes.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  TextCompletion,
  TextCompletionRequest,
} from './completionTypes.ts';
import type { EmbeddingsRequest, EmbeddingsResponse } from './embeddingTypes.ts';
import type { FetchOptions } from './fetchOptions.ts';

export type * from './completionTypes.ts';
export type * from './embeddingTypes.ts';
export type { FetchOptions, LossyCost, StoredProgress };

/** Where an expert is at best: the index into this list is what a report holds. */
export const EXPERT_PLACES = ['absent', 'stored', 'cached', 'resident'] as const;

/** What `loadModel` says while it works. `total` is 0 until it is known. */
export interface LoadProgress {
  readonly phase: 'inspect' | 'download' | 'verify' | 'upload' | 'compile' | 'ready';
  readonly file: string;
  /** Bytes; kernels in phase 'compile'. */
  readonly loaded: number;
  readonly total: number;
  /** What went otherwise than hoped: 'no-ranges' (the server sends whole files only), 'not-stored' (nowhere to keep it), … */
  readonly notices: readonly LoadNotice[];
}

export interface LoadNotice {
  readonly kind:
    | 'not-saved'
    | 'rebuilt'
    | 'no-ranges'
    | 'not-stored'
    | 'refetched'
    | 'resumed'
    | 'slow-storage'
    | 'paged'
    | 'few-slots';
  readonly message: string;
}

export interface LoadOptions extends FetchOptions {
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Stops the load. What is stored by then stays, and the next try goes on from it. */
  readonly signal?: AbortSignal;
  /** SHA-256 of the file in hex, where its source publishes one: checked before a byte is used. */
  readonly sha256?: string;
  /** What is remembered of a conversation, and what happens where it grows beyond that. */
  readonly context?: ContextOptions;
  /** Short for `context: { window }`. */
  readonly contextLength?: number;
  /** What the model may take. What does not fit is paged: answers stay the same, bit for bit, and come slower. */
  readonly budget?: Budget;
  /**
   * When experts come, where the server sends ranges: 'background' (default), while the model answers already, and those
   * it is routed to at once; 'on-demand', only those; 'first', before it answers. Where nothing can be stored only those
   * come that are used. With `sha256` all comes first.
   */
  readonly download?: 'first' | 'background' | 'on-demand';
  /** Hears how much is stored, at once where something is missing, then while the rest of the file comes (`download`). */
  readonly onStored?: (progress: StoredProgress) => void;
  /** How experts are paged; for benches and the curious, as what is chosen by itself follows what is measured. */
  readonly paging?: PagingOptions;
  /** Hears where experts are and what paging did: after tokens, ten times a second at the most. */
  readonly onExperts?: (report: ExpertsReport) => void;
}

/** Keys and values of a conversation. docs/window.md */
export interface ContextOptions {
  /**
   * Tokens that a token sees, the first `sinks` and itself included. Default: the trained context, or what the budget's
   * `kvBytes` hold, if that is less; `ModelInfo.context` says which.
   */
  readonly window?: number;
  /** First tokens of a conversation that stay in sight for good; default 4. */
  readonly sinks?: number;
  /**
   * At the end of the window: 'slide' (default), on and on, the oldest tokens but the sinks are forgotten; 'stop', answers
   * end there; 'error', they throw there. A longer prompt is refused by both.
   */
  readonly overflow?: Overflow;
  /** How they are kept; default: as exactly as `kvBytes` allow. */
  readonly kv?: KvFormatName;
  /**
   * Conversations whose whole windows are kept at once; default: up to 4, as far as they take no more than 64 MiB. Many
   * short ones share the room of a long one. Those that answer now always have theirs; others go when it is wanted.
   */
  readonly conversations?: number;
}

/** Bytes; what is left out is chosen by what the device has. */
export interface Budget {
  /** Of a conversation's keys and values; default: an eighth of the memory. Of `gpuBytes` they are a part. */
  readonly kvBytes?: number;
  /**
   * Of every GPU buffer together. Or for the experts alone: a share of them ('25%'), or the fewest that work ('min').
   */
  readonly gpuBytes?: GpuBudget;
  /** Of `gpuBytes` kept for adapters, of which experts get the rest otherwise; default 0. Adapters may take more where there is. */
  readonly adapterBytes?: number;
  /** Of experts kept in the worker's memory, between storage and GPU. */
  readonly memoryBytes?: number;
  /** Of this model in the origin's storage; what is beyond is fetched each time it is wanted. */
  readonly storageBytes?: number;
}

export interface PagingOptions {
  /** Layers that are queued before it is known which experts they want. */
  readonly runAhead?: number;
  /** Layers in a submission. */
  readonly group?: number;
  /** False: experts come only when they are wanted. */
  readonly prefetch?: boolean;
  /**
   * The one option that changes answers; 0, which is the default, leaves them exact. In decoding, an expert that is
   * missing and has a smaller share of the gate's weight than this is left out instead of waited for; the likeliest
   * never is. `experts()` counts how often that was and how much weight was dropped, `lossyCost()` measures its price.
   */
  readonly dropBelow?: number;
}

/** Where the experts are, and what paging did since the model was loaded. */
export interface ExpertsReport {
  readonly nLayers: number;
  readonly nExperts: number;
  readonly nExpertsUsed: number;
  /** On the GPU at once, of all layers. */
  readonly nSlots: number;
  /** The fewest of those that work: of each size of expert what a layer uses, and one more. */
  readonly leastSlots: number;
  /** [nLayers · nExperts], each the index of its place in `EXPERT_PLACES`: absent, stored, cached, resident. */
  readonly places: Uint8Array;
  /** [nLayers · nExpertsUsed] the experts of the last token; empty before the first. */
  readonly lastRouted: Uint16Array;
  readonly memoryBytes: { readonly used: number; readonly budget: number };
  readonly counts: ExpertCounts;
  /** Layers that are queued ahead now, and in a submission. */
  readonly runAhead: number;
  readonly group: number;
  /** Measured: a read-back, and a layer. */
  readonly latencyMs: number;
  readonly layerMs: number;
}

/** Position i is the distribution of the id after ids 0…i: pairs [id, natural log-probability], likeliest first. */
export interface PositionLogprobs {
  readonly position: number;
  readonly top: readonly (readonly [id: number, logprob: number])[];
  /** The log-probability of the id that stands at position i + 1; absent at the last. */
  readonly next?: number;
}

/** Conversations of a model, and what became of those that made room for others. */
export interface ConversationCounts {
  /** In the cache. */
  readonly live: number;
  /** In storage, to come back when they are gone on with. */
  readonly spilled: number;
  /** How often one went there, came back, and was lost: for want of storage, or too large to be written in passing. */
  readonly spills: number;
  readonly returns: number;
  readonly forgotten: number;
}

/** Where the memory went, in bytes. */
export interface MemoryReport {
  /** On the GPU, by purpose: 'weights', 'experts', 'adapters', 'kv', 'activations', 'other'. */
  readonly gpuBytes: Readonly<Record<string, number>>;
  /** Of the GGUF file's tensors. */
  readonly fileTensorBytes: number;
  /** Of this model in the origin's storage; 0 where it is read in place. */
  readonly storedBytes: number;
  /** Absent where a model answers nothing. */
  readonly conversations?: ConversationCounts;
  /** What went otherwise than hoped until now: `info.notices`, and what came after the load. */
  readonly notices: readonly LoadNotice[];
}

export interface ModelInfo {
  readonly name: string;
  readonly architecture: string;
  readonly nParameters: number;
  readonly nLayers: number;
  readonly nExperts: number;
  readonly nExpertsUsed: number;
  readonly nVocab: number;
  readonly nCtxTrain: number;
  /** `context.window`. */
  readonly contextLength: number;
  readonly context: ContextInfo;
  /** 'Q4_0', 'Q8_0', …: the format most weights have. */
  readonly quantization: string;
  readonly fileBytes: number;
  readonly hasChatTemplate: boolean;
  /** Of a model that makes vectors of texts, and writes none; null: it writes. */
  readonly embeddings: { readonly dimensions: number; readonly pooling: Pooling } | null;
  /** The adapter that computes, as it names itself, and whether it is software. */
  readonly adapter: { readonly description: string; readonly software: boolean };
  /** 'network': downloaded now; 'store': from this origin's storage; 'local': read in place. */
  readonly loadedFrom: 'network' | 'store' | 'local';
  readonly notices: readonly LoadNotice[];
}

/** What is remembered of a conversation: what was asked for, and for the rest what was chosen. */
export interface ContextInfo {
  readonly window: number;
  readonly sinks: number;
  readonly overflow: Overflow;
  readonly kv: KvFormatName;
  /** Whole windows that are kept at once. */
  readonly conversations: number;
  /** Why the window is no longer: 'asked' for, all that the model was 'trained' for, or all that 'memory' holds. */
  readonly limitedBy: 'asked' | 'trained' | 'memory';
}

export interface TokenizeOptions {
  /** True: text like `<|im_end|>` becomes its control token. Default false: it stays text. */
  readonly special?: boolean;
  /** True: the ids the file wants around a text (BOS, EOS). Default false. */
  readonly addSpecial?: boolean;
}

/** A conversation in the origin's storage. */
export interface SavedConversationInfo {
  readonly name: string;
  readonly promptTokens: number;
  readonly answerTokens: number;
  /** Of its keys and values. */
  readonly storedBytes: number;
  /** Milliseconds since 1970. */
  readonly savedMs: number;
}

export interface ResumeOptions {
  /** True: where its keys and values are damaged, they are computed again from its ids. Default false: that is an error. */
  readonly rebuild?: boolean;
  /** Hears how many of its tokens are computed again, before the answer goes on. */
  readonly onProgress?: (progress: { readonly tokens: number; readonly total: number }) => void;
  readonly signal?: AbortSignal;
}

/** Conversations that outlive the page, of this model alone. */
export interface ConversationsFace {
  list(): Promise<SavedConversationInfo[]>;
  /**
   * The answer that was saved last under that name: what it had by then, and how it goes on, with the tokens it would
   * have had. It is saved on under its name.
   *
   * @throws {ContextError} `context/not-saved`; `context/damaged`: its bytes are not what was saved (see `rebuild`);
   * `context/other-model`.
   */
  resume(name: string, options?: ResumeOptions): AsyncIterable<ChatCompletionChunk>;
  /** One that is not there is no error. */
  delete(name: string): Promise<void>;
}

/** A model that is ready to answer. */
export interface Model extends AsyncDisposable {
  readonly info: ModelInfo;
  readonly chat: {
    readonly completions: {
      create(request: ChatCompletionRequest & { readonly stream: true }): AsyncIterable<ChatCompletionChunk>;
      create(request: ChatCompletionRequest & { readonly stream?: false }): Promise<ChatCompletion>;
    };
  };
  readonly completions: {
    /** Goes on with `prompt` as it is; each chunk's delta holds text. */
    create(request: TextCompletionRequest & { readonly stream: true }): AsyncIterable<ChatCompletionChunk>;
    create(request: TextCompletionRequest & { readonly stream?: false }): Promise<TextCompletion>;
  };
  readonly embeddings: {
    /**
     * Vectors of texts, one text after another. Costs a read-back for each, and no more memory for many than for one.
     *
     * @throws {RequestError} `request/unsupported`: the model writes texts, and its file names no pooling.
     * @throws {ContextError} `context/full`: a text is longer than the model sees; nothing was computed.
     * @example
     * const { data } = await model.embeddings.create({ input: ['a red apple', 'a green pear'] });
     */
    create(request: EmbeddingsRequest): Promise<EmbeddingsResponse>;
  };
  /** LoRA adapters, applied, weighed and removed while it stays loaded. */
  readonly adapters: ModelAdapters;
  readonly conversations: ConversationsFace;
  tokenize(text: string, options?: TokenizeOptions): Promise<number[]>;
  detokenize(ids: readonly number[]): Promise<string>;
  /**
   * The `top` likeliest ids after each prefix of `ids`, and how likely the id was that does follow; 0 for that alone.
   * No BOS is added.
   */
  logprobs(ids: readonly number[], options: { top: number; signal?: AbortSignal }): Promise<PositionLogprobs[]>;
  memory(): Promise<MemoryReport>;
  /** Where the experts are and what paging did; null where the model has none. */
  experts(): Promise<ExpertsReport | null>;
  /**
   * What `paging.dropBelow` costs over a text: its ids are decoded one by one, with experts left out and with all. Which
   * are missing depends on what has a slot now. Takes as long as two answers, and a row of logits of memory for each id.
   *
   * @throws {RequestError} `request/invalid`: the model was loaded without it, or has no experts; fewer than two ids.
   */
  lossyCost(ids: readonly number[], options?: { signal?: AbortSignal }): Promise<LossyCost>;
  /** Gives back everything the model holds. A second call does nothing. */
  unload(): Promise<void>;
}
