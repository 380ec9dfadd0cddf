import { measureLoss, topLogprobs } from '../generate/index.ts';
import type { SavedConversation } from '../store/index.ts';
import { LocalAdapters } from './adapters.ts';
import { Answers } from './answers.ts';
import { chatPrompt } from './chatPrompt.ts';
import { checkIds, invalid, onlyWrites } from './check.ts';
import { collectChat, collectText, streamOf } from './chunks.ts';
import { LoadedModel } from './loadedModel.ts';
import type { ModelParts } from './modelParts.ts';
import { isSpilled } from './spilled.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  EmbeddingsRequest,
  ExpertsReport,
  LossyCost,
  MemoryReport,
  Model,
  PositionLogprobs,
  ResumeOptions,
  SavedConversationInfo,
  TextCompletion,
  TextCompletionRequest,
} from './types.ts';

/** What a visit learnt is stored no oftener. */
const REMEMBER_MS = 5_000;

/** A model in this thread. In a page it lives in a worker, and `worker/client.ts` wears its face. */
export class LocalModel extends LoadedModel implements Model {
  readonly adapters: LocalAdapters;
  private readonly answers: Answers;
  private nAnswers = 0;
  private rememberedMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly parts: ModelParts) {
    super(parts);
    this.answers = new Answers(parts, { acting: () => this.adapters.acting(), onEnd: () => this.rememberVisit() });
    this.adapters = new LocalAdapters({
      ...parts,
      alone: async (signal) => {
        this.checkLoaded();
        return this.answers.conversations.alone(signal);
      },
      signalOf: (call) => this.signalOf(call),
    });
    // What memory has room for comes while nobody asks for anything.
    void parts.placed.experts?.fillUp();
  }

  readonly chat = {
    completions: {
      create: ((request: ChatCompletionRequest & { stream?: boolean }) =>
        this.createChat(request)) as Model['chat']['completions']['create'],
    },
  };

  readonly completions = {
    create: ((request: TextCompletionRequest & { stream?: boolean }) =>
      this.createText(request)) as Model['completions']['create'],
  };

  readonly embeddings = {
    create: (_: EmbeddingsRequest): Promise<never> => Promise.reject(onlyWrites(this.info.name)),
  };

  readonly conversations = {
    list: async () => {
      this.checkLoaded();
      return (await this.answers.saved.list()).filter(({ name }) => !isSpilled(name)).map(infoOf);
    },
    resume: (name: string, options: ResumeOptions = {}) => {
      this.checkLoaded();
      return this.resume(name, options);
    },
    delete: async (name: string) => {
      this.checkLoaded();
      await this.answers.saved.delete(name);
    },
  };

  async logprobs(ids: readonly number[], options: { top: number; signal?: AbortSignal }): Promise<PositionLogprobs[]> {
    checkIds(ids, this.info.nVocab);
    if (!Number.isInteger(options.top) || options.top < 0)
      throw invalid('top', String(options.top), 'a whole number, 0 or more');
    this.checkLoaded();
    const signal = this.signalOf(options);
    const wanted = { shared: [], nTokens: ids.length, signal };
    const { conversation, release } = await this.answers.conversations.take(wanted);
    try {
      const positions = await topLogprobs(conversation, ids, options.top, signal);
      return positions.map(({ top, next }, position) => ({ position, top, ...(next === null ? {} : { next }) }));
    } finally {
      release();
    }
  }

  async memory(): Promise<MemoryReport> {
    return { ...this.memoryReport(this.answers.notices), conversations: this.answers.counts };
  }

  async experts(): Promise<ExpertsReport | null> {
    this.checkLoaded();
    return this.parts.watch?.report() ?? null;
  }

  async lossyCost(ids: readonly number[], { signal }: { signal?: AbortSignal } = {}): Promise<LossyCost> {
    const { engine } = this.parts;
    checkIds(ids, this.info.nVocab);
    if (ids.length < 2) throw invalid('ids', `${ids.length} of them`, 'two or more');
    if (engine.decoder.dropBelow === 0)
      throw invalid(
        'paging.dropBelow',
        '0',
        'a share above 0 when the model is loaded, or there is nothing to measure',
      );
    const life = this.signalOf(signal ? { signal } : {});
    this.checkLoaded();
    const leave = await this.answers.conversations.alone(life);
    try {
      return await measureLoss(engine, ids, life);
    } finally {
      leave();
    }
  }

  /** Ends what runs and what waits, then gives everything back, each thing whatever became of the one before. */
  protected async giveBack(): Promise<void> {
    const { template, engine, device, weights, placed } = this.parts;
    this.life.abort();
    // An answer whose reader has stopped reading hears no signal: it is ended where it stands.
    await this.adapters.idle();
    await this.answers.end();
    await this.remember();
    template?.dispose();
    try {
      await engine.destroy();
    } finally {
      this.answers.saved.close();
      await placed.experts?.destroy();
      device.destroy();
      await weights.close();
    }
  }

  private createChat(
    request: ChatCompletionRequest & { stream?: boolean },
  ): AsyncIterable<ChatCompletionChunk> | Promise<ChatCompletion> {
    const prompt = () => chatPrompt(this.parts, this.info.name, request, (content) => this.answers.own.idsOf(content));
    const parts = this.answers.to(request, this.signalOf(request), this.whileLoaded(prompt), false);
    return request.stream ? streamOf(this.head(), parts) : collectChat(this.head(), parts);
  }

  private createText(
    request: TextCompletionRequest & { stream?: boolean },
  ): AsyncIterable<ChatCompletionChunk> | Promise<TextCompletion> {
    const prompt = async () => {
      if (typeof request.prompt !== 'string') throw invalid('prompt', typeof request.prompt, 'a string');
      return this.parts.tokenizer.tokenize(request.prompt, { special: true, addSpecial: true });
    };
    const parts = this.answers.to(request, this.signalOf(request), this.whileLoaded(prompt), true);
    return request.stream ? streamOf(this.head(), parts) : collectText(parts);
  }

  private resume(name: string, options: ResumeOptions): AsyncIterable<ChatCompletionChunk> {
    return streamOf(this.head(), this.answers.resume(name, options, this.signalOf(options)));
  }

  private whileLoaded(promptOf: () => Promise<number[]>): () => Promise<number[]> {
    return () => {
      this.checkLoaded();
      return promptOf();
    };
  }

  /** Leaves the next visit what this one learnt of its experts; now and then, for a page may be closed without a word. */
  private rememberVisit(): void {
    const { host } = this.parts;
    if (this.unloaded || host.clock.now() - this.rememberedMs < REMEMBER_MS) return;
    this.rememberedMs = host.clock.now();
    void this.remember();
  }

  private async remember(): Promise<void> {
    const { placed, weights } = this.parts;
    const visit = weights.remember && placed.experts?.snapshot();
    if (visit) await weights.remember?.(visit);
  }

  private head() {
    return {
      id: `chatcmpl-${++this.nAnswers}`,
      created: Math.floor(this.parts.host.clock.epochMs() / 1000),
      model: this.info.name,
    };
  }
}

function infoOf({ name, prompt, answer, blocks, blockBytes, savedMs }: SavedConversation): SavedConversationInfo {
  const [promptTokens, answerTokens] = [prompt.length, answer.length];
  return { name, promptTokens, answerTokens, storedBytes: blocks.length * blockBytes, savedMs };
}
