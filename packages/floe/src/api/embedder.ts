import { RequestError, throwIfAborted } from '../errors/index.ts';
import type { Encoder } from '../generate/index.ts';
import type { Host } from '../host/index.ts';
import { LocalAdapters } from './adapters.ts';
import { checkIds, onlyEmbeds } from './check.ts';
import { dimensionsOf, responseOf, textsOf } from './embeddings.ts';
import type { ModelParts } from './modelParts.ts';
import { TurnQueue } from './queue.ts';
import type {
  ChatCompletionChunk,
  EmbeddingsRequest,
  EmbeddingsResponse,
  MemoryReport,
  Model,
  ModelInfo,
  TokenizeOptions,
} from './types.ts';

/** What a model of texts' vectors is made of. */
export type EmbedderParts = Pick<ModelParts, 'device' | 'placed' | 'tokenizer' | 'weights' | 'info'> & {
  readonly host: Host;
  readonly encoder: Encoder;
};

/** A model in this thread that makes vectors of texts. What writes is refused, and says so. */
export class LocalEmbedder implements Model {
  readonly info: ModelInfo;
  readonly adapters: LocalAdapters;
  private readonly queue = new TurnQueue();
  private readonly life = new AbortController();
  private unloaded: Promise<void> | null = null;

  constructor(private readonly parts: EmbedderParts) {
    this.info = parts.info;
    this.adapters = new LocalAdapters({
      ...parts,
      engine: parts.encoder,
      alone: async (signal) => {
        this.checkLoaded();
        return this.queue.enter(signal);
      },
      signalOf: (call) => this.signalOf(call),
    });
  }

  readonly embeddings = { create: (request: EmbeddingsRequest) => this.embed(request) };
  readonly chat = { completions: { create: this.refusing() as Model['chat']['completions']['create'] } };
  readonly conversations = {
    list: async () => [],
    resume: (): never => {
      throw onlyEmbeds(this.info.name);
    },
    delete: async () => {},
  };
  readonly completions = { create: this.refusing() as Model['completions']['create'] };

  async tokenize(text: string, options: TokenizeOptions = {}): Promise<number[]> {
    this.checkLoaded();
    return this.parts.tokenizer.tokenize(text, options);
  }

  async detokenize(ids: readonly number[]): Promise<string> {
    this.checkLoaded();
    const { tokenizer } = this.parts;
    checkIds(ids, tokenizer.vocabulary.tokens.length);
    return tokenizer.detokenize(ids);
  }

  async logprobs(): Promise<never> {
    throw onlyEmbeds(this.info.name);
  }

  async lossyCost(): Promise<never> {
    throw onlyEmbeds(this.info.name);
  }

  async experts(): Promise<null> {
    this.checkLoaded();
    return null;
  }

  async memory(): Promise<MemoryReport> {
    this.checkLoaded();
    const { device, placed, weights } = this.parts;
    return {
      gpuBytes: device.buffers.bytes(),
      fileTensorBytes: placed.plan.fileTensorBytes,
      storedBytes: weights.storedBytes,
      notices: [...new Set([...this.info.notices, ...weights.notices])],
    };
  }

  unload(): Promise<void> {
    this.unloaded ??= this.giveBack();
    return this.unloaded;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.unload();
  }

  private async embed(request: EmbeddingsRequest): Promise<EmbeddingsResponse> {
    this.checkLoaded();
    const { encoder, tokenizer, device } = this.parts;
    const { name, nVocab, embeddings } = this.info;
    const dimensions = dimensionsOf(request, embeddings!.dimensions);
    const texts = textsOf(request, tokenizer, nVocab);
    // All of them before the first is computed.
    for (const [i, ids] of texts.entries()) encoder.checkLength(ids.length, `input[${i}]`);
    const signal = this.signalOf(request);
    const leave = await this.queue.enter(signal);
    try {
      device.throwIfFailed();
      const vectors: Float32Array[] = [];
      for (const ids of texts) vectors.push(await encoder.embed(ids, () => throwIfAborted(signal)));
      const nTokens = texts.reduce((sum, ids) => sum + ids.length, 0);
      return responseOf(name, vectors, dimensions, nTokens);
    } finally {
      leave();
    }
  }

  /** Fires with the request's own signal, and when the model is unloaded. */
  private signalOf({ signal }: { readonly signal?: AbortSignal }): AbortSignal {
    return signal ? AbortSignal.any([signal, this.life.signal]) : this.life.signal;
  }

  /** A call that rejects; or, where it was to stream, is rejected when it is first read. */
  private refusing() {
    return ({ stream = false }: { stream?: boolean }): AsyncIterable<ChatCompletionChunk> | Promise<never> => {
      const refusal = onlyEmbeds(this.info.name);
      return stream ? failing(refusal) : Promise.reject(refusal);
    };
  }

  private async giveBack(): Promise<void> {
    const { encoder, device, weights } = this.parts;
    this.life.abort();
    await this.adapters.idle();
    await this.queue.idle();
    try {
      await encoder.destroy();
    } finally {
      device.destroy();
      await weights.close();
    }
  }

  private checkLoaded(): void {
    if (!this.unloaded) return;
    throw new RequestError('request/invalid', `${this.info.name} was unloaded.`, {
      remedy: 'Load it again with `loadModel`.',
    });
  }
}

// biome-ignore lint/correctness/useYield: it has nothing to give.
async function* failing(error: Error): AsyncGenerator<ChatCompletionChunk> {
  throw error;
}
