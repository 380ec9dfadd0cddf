import { throwIfAborted } from '../errors/index.ts';
import type { Encoder } from '../generate/index.ts';
import type { Host } from '../host/index.ts';
import { LocalAdapters } from './adapters.ts';
import { onlyEmbeds } from './check.ts';
import { dimensionsOf, responseOf, textsOf } from './embeddings.ts';
import { type CommonParts, LoadedModel } from './loadedModel.ts';
import { TurnQueue } from './queue.ts';
import type { ChatCompletionChunk, EmbeddingsRequest, EmbeddingsResponse, MemoryReport, Model } from './types.ts';

/** What a model of texts' vectors is made of. */
export type EmbedderParts = CommonParts & {
  readonly host: Host;
  readonly encoder: Encoder;
};

/** A model in this thread that makes vectors of texts. What writes is refused, and says so. */
export class LocalEmbedder extends LoadedModel implements Model {
  readonly adapters: LocalAdapters;
  private readonly queue = new TurnQueue();

  constructor(private readonly parts: EmbedderParts) {
    super(parts);
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
    return this.memoryReport([]);
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

  /** A call that rejects; or, where it was to stream, is rejected when it is first read. */
  private refusing() {
    return ({ stream = false }: { stream?: boolean }): AsyncIterable<ChatCompletionChunk> | Promise<never> => {
      const refusal = onlyEmbeds(this.info.name);
      return stream ? failing(refusal) : Promise.reject(refusal);
    };
  }

  protected async giveBack(): Promise<void> {
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
}

// biome-ignore lint/correctness/useYield: it has nothing to give.
async function* failing(error: Error): AsyncGenerator<ChatCompletionChunk> {
  throw error;
}
