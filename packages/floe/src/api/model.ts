import { RequestError, TextError } from '../errors/index.ts';
import { type AnswerPart, type AnswerRequest, answer, type Runner, topLogprobs } from '../generate/index.ts';
import type { Device } from '../gpu/index.ts';
import type { Host } from '../host/index.ts';
import type { PlacedModel } from '../model/index.ts';
import type { WeightSource } from '../store/index.ts';
import { type ChatTemplate, encodeChat, endIds, type Tokenizer } from '../text/index.ts';
import { checkIds, invalid, maxTokensOf, pickingOf, seedOf, stopsOf } from './check.ts';
import { collectChat, collectText, streamOf } from './chunks.ts';
import { TurnQueue } from './queue.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  CompletionRequest,
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
  readonly runner: Runner;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate | null;
  readonly weights: WeightSource;
  readonly info: ModelInfo;
}

/** A model in this thread. In a page it lives in a worker, and `worker/client.ts` wears its face. */
export class LocalModel implements Model {
  readonly info: ModelInfo;
  private readonly queue = new TurnQueue();
  private readonly ends: ReadonlySet<number>;
  private unloaded: Promise<void> | null = null;
  private nAnswers = 0;

  constructor(private readonly parts: ModelParts) {
    this.info = parts.info;
    this.ends = endIds(parts.tokenizer.vocabulary);
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
    if (!Number.isInteger(options.top) || options.top < 1)
      throw invalid('top', String(options.top), 'a whole number above 0');
    const leave = await this.enter();
    try {
      const positions = await topLogprobs(this.parts.runner, ids, options.top, options.signal);
      return positions.map((top, position) => ({ position, top }));
    } finally {
      leave();
    }
  }

  async memory(): Promise<MemoryReport> {
    this.checkLoaded();
    const { device, placed, weights } = this.parts;
    return {
      gpuBytes: device.buffers.bytes(),
      fileTensorBytes: placed.plan.fileTensorBytes,
      storedBytes: weights.storedBytes,
    };
  }

  unload(): Promise<void> {
    this.unloaded ??= this.giveBack();
    return this.unloaded;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.unload();
  }

  private async giveBack(): Promise<void> {
    // Behind what runs now: a step in flight still reads the buffers.
    const leave = await this.queue.enter();
    this.parts.template?.dispose();
    await this.parts.runner.destroy();
    this.parts.device.destroy();
    await this.parts.weights.close();
    leave();
  }

  private createChat(
    request: ChatCompletionRequest & { stream?: boolean },
  ): AsyncIterable<ChatCompletionChunk> | Promise<ChatCompletion> {
    const parts = this.answerTo(request, () => this.promptOf(request), false);
    const head = this.head();
    return request.stream ? streamOf(head, parts) : collectChat(head, parts);
  }

  private createText(
    request: TextCompletionRequest & { stream?: boolean },
  ): AsyncIterable<ChatCompletionChunk> | Promise<TextCompletion> {
    const { tokenizer } = this.parts;
    const prompt = async () => tokenizer.tokenize(request.prompt, { special: true, addSpecial: true });
    const parts = this.answerTo(request, prompt, true);
    return request.stream ? streamOf(this.head(), parts) : collectText(parts);
  }

  /** The parts of an answer, once it is this request's turn; the number of prompt tokens comes with the last. */
  private async *answerTo(
    request: CompletionRequest,
    promptOf: () => Promise<number[]>,
    continues: boolean,
  ): AsyncGenerator<AnswerPart & { nPrompt: number }> {
    const { runner, tokenizer, host } = this.parts;
    const checked: Omit<AnswerRequest, 'prompt'> = {
      picking: pickingOf(request),
      seed: seedOf(request, host.random),
      maxTokens: maxTokensOf(request),
      stops: stopsOf(request),
      endIds: this.ends,
      continues,
      signal: request.signal,
    };
    const leave = await this.enter();
    try {
      const prompt = await promptOf();
      checkIds(prompt, this.info.nVocab);
      for await (const part of answer(runner, tokenizer, host.clock, { ...checked, prompt })) {
        yield { ...part, nPrompt: prompt.length };
      }
    } finally {
      leave();
    }
  }

  private async promptOf({ messages, signal }: ChatCompletionRequest): Promise<number[]> {
    const { template, tokenizer } = this.parts;
    if (!Array.isArray(messages) || messages.length === 0)
      throw invalid('messages', JSON.stringify(messages), 'a list of at least one message');
    if (!template) {
      throw new TextError(
        'text/template',
        `${this.info.name} has no chat template: it was not made for conversations.`,
        {
          remedy: 'Use `model.completions.create({ prompt })`, or take an instruct version of the model.',
        },
      );
    }
    return encodeChat(tokenizer, await template.render(messages, signal ? { signal } : {}));
  }

  private head() {
    return { id: `chatcmpl-${++this.nAnswers}`, created: Math.floor(Date.now() / 1000), model: this.info.name };
  }

  private async enter(): Promise<() => void> {
    this.checkLoaded();
    const leave = await this.queue.enter();
    try {
      this.checkLoaded();
      this.parts.device.throwIfFailed();
    } catch (error) {
      leave();
      throw error;
    }
    return leave;
  }

  private checkLoaded(): void {
    if (!this.unloaded) return;
    throw new RequestError('request/invalid', `${this.info.name} was unloaded.`, {
      remedy: 'Load it again with `loadModel`.',
    });
  }
}
