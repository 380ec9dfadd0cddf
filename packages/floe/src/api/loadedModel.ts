/** What models in this thread have in common, whatever they make of a text. */
import { RequestError } from '../errors/index.ts';
import { checkIds } from './check.ts';
import type { ModelParts } from './modelParts.ts';
import type { LoadNotice, MemoryReport, ModelInfo, TokenizeOptions } from './types.ts';

export type CommonParts = Pick<ModelParts, 'device' | 'placed' | 'tokenizer' | 'weights' | 'info' | 'adapterRoom'>;

export abstract class LoadedModel {
  readonly info: ModelInfo;
  /** Fires when the model is unloaded. */
  protected readonly life = new AbortController();
  protected unloaded: Promise<void> | null = null;

  constructor(private readonly common: CommonParts) {
    this.info = common.info;
  }

  async tokenize(text: string, options: TokenizeOptions = {}): Promise<number[]> {
    this.checkLoaded();
    return this.common.tokenizer.tokenize(text, options);
  }

  async detokenize(ids: readonly number[]): Promise<string> {
    this.checkLoaded();
    const { tokenizer } = this.common;
    checkIds(ids, tokenizer.vocabulary.tokens.length);
    return tokenizer.detokenize(ids);
  }

  unload(): Promise<void> {
    this.unloaded ??= this.giveBack();
    return this.unloaded;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.unload();
  }

  /** Ends what runs and what waits, then gives everything back. */
  protected abstract giveBack(): Promise<void>;

  /** Where the memory went; `notices` are those of the answers. */
  protected memoryReport(notices: readonly LoadNotice[]): MemoryReport {
    this.checkLoaded();
    const { device, placed, weights } = this.common;
    return {
      gpuBytes: device.buffers.bytes(),
      fileTensorBytes: placed.plan.fileTensorBytes,
      storedBytes: weights.storedBytes,
      notices: [...new Set([...this.info.notices, ...weights.notices, ...notices])],
    };
  }

  /** Fires with the request's own signal, and when the model is unloaded. */
  protected signalOf({ signal }: { readonly signal?: AbortSignal }): AbortSignal {
    return signal ? AbortSignal.any([signal, this.life.signal]) : this.life.signal;
  }

  protected checkLoaded(): void {
    if (!this.unloaded) return;
    throw new RequestError('request/invalid', `${this.info.name} was unloaded.`, {
      remedy: 'Load it again with `loadModel`.',
    });
  }
}
