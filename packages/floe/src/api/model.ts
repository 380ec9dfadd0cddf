import { RequestError } from '../errors/index.ts';
import {
  type AnswerPart,
  type AnswerRequest,
  answer,
  type Engine,
  measureLoss,
  topLogprobs,
} from '../generate/index.ts';
import type { Device } from '../gpu/index.ts';
import type { Host } from '../host/index.ts';
import type { PlacedModel } from '../model/index.ts';
import type { WeightSource } from '../store/index.ts';
import { type ChatTemplate, endIds, type Tokenizer } from '../text/index.ts';
import { LocalAdapters } from './adapters.ts';
import { chatPrompt } from './chatPrompt.ts';
import { checkIds, checkPrompt, invalid, maxTokensOf, onlyWrites, pickingOf, seedOf, stopsOf } from './check.ts';
import { collectChat, collectText, streamOf } from './chunks.ts';
import { Conversations } from './conversations.ts';
import type { ExpertWatch } from './experts.ts';
import { OwnAnswers } from './ownAnswers.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  CompletionRequest,
  EmbeddingsRequest,
  ExpertsReport,
  LossyCost,
  MemoryReport,
  Model,
  ModelInfo,
  PositionLogprobs,
  TextCompletion,
  TextCompletionRequest,
  TokenizeOptions,
} from './types.ts';

/** What a loaded model is made of. */
export interface ModelParts {
  readonly host: Host;
  readonly device: Device;
  readonly placed: PlacedModel;
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate | null;
  readonly weights: WeightSource;
  readonly info: ModelInfo;
  /** Null where the model has no experts. */
  readonly watch: ExpertWatch | null;
}

/** What a visit learnt is stored no oftener. */
const REMEMBER_MS = 5_000;

type Answer = AsyncGenerator<AnswerPart & { nPrompt: number }>;

/** A model in this thread. In a page it lives in a worker, and `worker/client.ts` wears its face. */
export class LocalModel implements Model {
  readonly info: ModelInfo;
  readonly adapters: LocalAdapters;
  private readonly conversations: Conversations;
  private readonly own = new OwnAnswers();
  private readonly ends: ReadonlySet<number>;
  private unloaded: Promise<void> | null = null;
  private nAnswers = 0;
  private rememberedMs = Number.NEGATIVE_INFINITY;
  private readonly life = new AbortController();
  private readonly running = new Set<Answer>();

  constructor(private readonly parts: ModelParts) {
    this.info = parts.info;
    this.conversations = new Conversations(parts.engine);
    this.adapters = new LocalAdapters({
      ...parts,
      alone: async (signal) => {
        this.checkLoaded();
        return this.conversations.alone(signal);
      },
      signalOf: (call) => this.signalOf(call),
    });
    this.ends = endIds(parts.tokenizer.vocabulary);
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

  async tokenize(text: string, options: TokenizeOptions = {}): Promise<number[]> {
    this.checkLoaded();
    return this.parts.tokenizer.tokenize(text, options);
  }

  async detokenize(ids: readonly number[]): Promise<string> {
    this.checkLoaded();
    checkIds(ids, this.info.nVocab);
    return this.parts.tokenizer.detokenize(ids);
  }

  async logprobs(ids: readonly number[], options: { top: number; signal?: AbortSignal }): Promise<PositionLogprobs[]> {
    checkIds(ids, this.info.nVocab);
    if (!Number.isInteger(options.top) || options.top < 0)
      throw invalid('top', String(options.top), 'a whole number, 0 or more');
    this.checkLoaded();
    const signal = this.signalOf(options);
    const { conversation, release } = await this.take([], ids.length, signal);
    try {
      const positions = await topLogprobs(conversation, ids, options.top, signal);
      return positions.map(({ top, next }, position) => ({ position, top, ...(next === null ? {} : { next }) }));
    } finally {
      release();
    }
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
    const leave = await this.conversations.alone(life);
    try {
      return await measureLoss(engine, ids, life);
    } finally {
      leave();
    }
  }

  unload(): Promise<void> {
    this.unloaded ??= this.giveBack();
    return this.unloaded;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.unload();
  }

  /** Ends what runs and what waits, then gives everything back, each thing whatever became of the one before. */
  private async giveBack(): Promise<void> {
    const { template, engine, device, weights, placed } = this.parts;
    this.life.abort();
    // An answer whose reader has stopped reading hears no signal: it is ended where it stands.
    await Promise.allSettled([...this.running].map((answer) => answer.return(undefined)));
    await this.adapters.idle();
    await this.conversations.drained();
    await this.remember();
    template?.dispose();
    try {
      await engine.destroy();
    } finally {
      await placed.experts?.destroy();
      device.destroy();
      await weights.close();
    }
  }

  private createChat(
    request: ChatCompletionRequest & { stream?: boolean },
  ): AsyncIterable<ChatCompletionChunk> | Promise<ChatCompletion> {
    const prompt = () => chatPrompt(this.parts, this.info.name, request, (content) => this.own.idsOf(content));
    const parts = this.begin(request, prompt, false);
    const head = this.head();
    return request.stream ? streamOf(head, parts) : collectChat(head, parts);
  }

  private createText(
    request: TextCompletionRequest & { stream?: boolean },
  ): AsyncIterable<ChatCompletionChunk> | Promise<TextCompletion> {
    const { tokenizer } = this.parts;
    const prompt = async () => {
      if (typeof request.prompt !== 'string') throw invalid('prompt', typeof request.prompt, 'a string');
      return tokenizer.tokenize(request.prompt, { special: true, addSpecial: true });
    };
    const parts = this.begin(request, prompt, true);
    return request.stream ? streamOf(this.head(), parts) : collectText(parts);
  }

  /** An answer that `unload` can end; it runs once it is first read. */
  private begin(request: CompletionRequest, promptOf: () => Promise<number[]>, continues: boolean): Answer {
    const parts: Answer = this.answerTo(request, promptOf, continues, {
      onStart: () => this.running.add(parts),
      onEnd: () => this.running.delete(parts),
    });
    return parts;
  }

  /** The parts of an answer, once it is this request's turn; the number of prompt tokens comes with the last. */
  private async *answerTo(
    request: CompletionRequest,
    promptOf: () => Promise<number[]>,
    continues: boolean,
    { onStart, onEnd }: { onStart: () => void; onEnd: () => void },
  ): Answer {
    const { tokenizer, host } = this.parts;
    const startMs = host.clock.now();
    const signal = this.signalOf(request);
    const checked: Omit<AnswerRequest, 'prompt'> = {
      picking: pickingOf(request),
      seed: seedOf(request, host.random),
      maxTokens: maxTokensOf(request),
      stops: stopsOf(request),
      endIds: this.ends,
      continues,
      onUnit: () => this.parts.watch?.changed(),
      signal,
      startMs,
    };
    onStart();
    try {
      this.checkLoaded();
      const prompt = await promptOf();
      checkPrompt(prompt, this.info.nVocab);
      const nMost = checked.maxTokens ?? Number.POSITIVE_INFINITY;
      const { conversation, release } = await this.take(prompt, prompt.length + nMost, signal);
      try {
        let [text, reasoning] = ['', ''];
        for await (const part of answer(conversation, tokenizer, host.clock, { ...checked, prompt })) {
          if (part.kind === 'text') text += part.text;
          else if (part.kind === 'reasoning') reasoning += part.text;
          else if (!continues && reasoning === '') this.rememberAnswer(text, part.ids);
          yield { ...part, nPrompt: prompt.length };
        }
      } finally {
        release();
        this.rememberVisit();
      }
    } finally {
      onEnd();
    }
  }

  /** The next turn's messages will have this text. Markers and thoughts that a model may write are no part of it. */
  private rememberAnswer(text: string, ids: readonly number[]): void {
    const { tokenizer } = this.parts;
    if (!ids.some((id) => tokenizer.isControl(id))) this.own.remember(text, ids);
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

  /** Fires with the request's own signal, and when the model is unloaded. */
  private signalOf({ signal }: { readonly signal?: AbortSignal }): AbortSignal {
    return signal ? AbortSignal.any([signal, this.life.signal]) : this.life.signal;
  }

  private head() {
    return {
      id: `chatcmpl-${++this.nAnswers}`,
      created: Math.floor(this.parts.host.clock.epochMs() / 1000),
      model: this.info.name,
    };
  }

  private async take(shared: readonly number[], nTokens: number, signal: AbortSignal) {
    const taken = await this.conversations.take({ shared, nTokens, signal });
    try {
      this.parts.device.throwIfFailed();
    } catch (error) {
      taken.release();
      throw error;
    }
    return taken;
  }

  private checkLoaded(): void {
    if (!this.unloaded) return;
    throw new RequestError('request/invalid', `${this.info.name} was unloaded.`, {
      remedy: 'Load it again with `loadModel`.',
    });
  }
}
