/** A model's answers: each with the conversation it goes on with, saved as it grows where that is asked for. */
import { FloeError } from '../errors/index.ts';
import { type AnswerPart, answer, type Conversation, commonLength } from '../generate/index.ts';
import type { SavedConversation } from '../store/index.ts';
import { endIds } from '../text/index.ts';
import { checkPrompt, maxTokensOf, pickingOf, seedOf, stopsOf } from './check.ts';
import { Conversations, type InStorage } from './conversations.ts';
import type { SavedRequest } from './keeper.ts';
import type { ModelParts } from './modelParts.ts';
import { OwnAnswers } from './ownAnswers.ts';
import { idsOf, type SavedBlocks, SavedConversations } from './savedConversations.ts';
import { Spilled } from './spilled.ts';
import type { CompletionRequest, ConversationCounts, LoadNotice, ResumeOptions } from './types.ts';

/** The parts of an answer, and how many tokens its prompt has. */
export type Answer = AsyncGenerator<AnswerPart & { nPrompt: number }>;

/** What an answer is to be, of which a beginning may be there. */
interface Asked extends SavedRequest {
  readonly prompt: readonly number[];
  readonly answered: readonly number[];
  readonly onProgress?: ResumeOptions['onProgress'];
  /** What is saved of it. */
  readonly saved: InStorage | null;
}

type Kept = Pick<CompletionRequest, 'save'> & { readonly signal: AbortSignal };

export class Answers {
  readonly conversations: Conversations;
  readonly saved: SavedConversations;
  private readonly spilled: Spilled;
  /** What went otherwise than hoped. */
  readonly notices: LoadNotice[] = [];
  /** Of answers of late, the ids by their text. */
  readonly own = new OwnAnswers();
  private readonly ends: ReadonlySet<number>;
  private readonly running = new Set<Answer>();

  constructor(
    private readonly parts: ModelParts,
    private readonly hooks: {
      /** What acts on the weights. */
      readonly acting: () => string;
      /** An answer has ended. */
      readonly onEnd: () => void;
    },
  ) {
    this.saved = new SavedConversations(parts.host, parts.engine, { hashes: parts.hashModel, acting: hooks.acting });
    const { random, clock } = parts.host;
    this.spilled = new Spilled(this.saved, random, clock.epochMs);
    this.conversations = new Conversations(parts.engine, this.spilled);
    this.ends = endIds(parts.tokenizer.vocabulary);
  }

  /** An answer to a prompt; `continues`: it goes on with a text. It runs once it is first read. */
  to(request: CompletionRequest, signal: AbortSignal, promptOf: () => Promise<number[]>, continues: boolean): Answer {
    const { save } = request;
    return this.begin({ ...(save === undefined ? {} : { save }), signal }, () =>
      this.ask(request, promptOf, continues),
    );
  }

  /** The answer that was saved last under that name, and how it goes on. */
  resume(name: string, { rebuild = false, onProgress }: ResumeOptions, signal: AbortSignal): Answer {
    return this.begin({ save: name, signal }, async () => {
      const saved = await this.find(name);
      const { request, prompt, answer } = saved;
      const wanted = { prompt: [...prompt], answered: [...answer], onProgress };
      const inStorage = inStorageOf(saved, idsOf(saved), this.wake(saved, rebuild));
      return { ...(request as SavedRequest), ...wanted, saved: inStorage };
    });
  }

  /** Ends those that run, wherever their readers are, and waits for it. */
  async end(): Promise<void> {
    await Promise.allSettled([...this.running].map((one) => one.return(undefined)));
    await this.conversations.drained();
    await this.spilled.forget();
  }

  /** How many conversations are where, and what became of those that made room. */
  get counts(): ConversationCounts {
    return { live: this.conversations.nLive, ...this.spilled.counts };
  }

  /** A request's parameters, checked, and its prompt. */
  private async ask(request: CompletionRequest, promptOf: () => Promise<number[]>, continues: boolean): Promise<Asked> {
    const checked = {
      picking: pickingOf(request),
      seed: seedOf(request, this.parts.host.random),
      maxTokens: maxTokensOf(request),
      stops: stopsOf(request),
      continues,
    };
    // First: it knows what ids its answers are in the prompt.
    const saved = request.save === undefined ? null : await this.findIfSound(request.save);
    const prompt = await promptOf();
    checkPrompt(prompt, this.parts.info.nVocab);
    const inStorage = saved && inStorageOf(saved, prompt, this.wake(saved, true));
    return { ...checked, prompt, answered: [], saved: inStorage };
  }

  /** An answer that `end` can end. */
  private begin(kept: Kept, ask: () => Promise<Asked>): Answer {
    const parts: Answer = this.answer(kept, ask, {
      onStart: () => this.running.add(parts),
      onEnd: () => this.running.delete(parts),
    });
    return parts;
  }

  private async *answer(
    { save, signal }: Kept,
    ask: () => Promise<Asked>,
    { onStart, onEnd }: { onStart: () => void; onEnd: () => void },
  ): Answer {
    const startMs = this.parts.host.clock.now();
    onStart();
    try {
      const asked = await ask();
      const known = [...asked.prompt, ...asked.answered];
      const nTokens = asked.prompt.length + (asked.maxTokens ?? Number.POSITIVE_INFINITY);
      const { conversation, release } = await this.conversations.take({
        shared: known,
        nTokens,
        saved: asked.saved,
        signal,
      });
      try {
        yield* this.partsOf(conversation, asked, { save, signal, startMs });
      } finally {
        release();
        this.hooks.onEnd();
      }
    } finally {
      onEnd();
    }
  }

  private async *partsOf(
    conversation: Conversation,
    { onProgress, saved: _, ...asked }: Asked,
    { save, signal, startMs }: { save: string | undefined; signal: AbortSignal; startMs: number },
  ): Answer {
    const { prompt, answered, continues } = asked;
    const { tokenizer, host, device, watch } = this.parts;
    device.throwIfFailed();
    const keeper = save === undefined ? null : await this.keeperOf(save, conversation, asked);
    let ids = answered;
    let [text, reasoning] = ['', ''];
    let hasBegun = false;
    const hooks = {
      onUnit: () => {
        hasBegun = true;
        watch?.changed();
        onProgress?.({ tokens: conversation.length, total: prompt.length + answered.length });
      },
      onIds: (soFar: readonly number[]) => {
        hasBegun = true;
        ids = soFar;
        keeper?.note(soFar);
      },
    };
    try {
      const request = { ...asked, ...hooks, endIds: this.ends, signal, startMs };
      for await (const part of answer(conversation, tokenizer, host.clock, request)) {
        if (part.kind === 'text') text += part.text;
        else if (part.kind === 'reasoning') reasoning += part.text;
        else if (!continues && reasoning === '') this.rememberAnswer(text, part.ids);
        yield { ...part, nPrompt: prompt.length };
      }
    } finally {
      // Also of one that was stopped: it may be gone on with. One that was refused leaves what is saved as it is.
      if (hasBegun) await keeper?.finish(ids);
    }
  }

  /** A saved conversation's keys and values, to come back to the cache; what is damaged of them is an error, unless they may be computed again. */
  private wake(saved: SavedConversation, rebuild: boolean): SavedBlocks | null {
    const blocks = this.saved.blocksOf(saved);
    if (!blocks || !rebuild) return blocks;
    const open = () =>
      blocks.open().catch((error: unknown) => {
        this.rebuilt(error);
        return null;
      });
    return { ...blocks, open };
  }

  /** What is saved under a name. Its answers are the model's own from now on, as they were to the visit that saved it. */
  private async find(name: string): Promise<SavedConversation> {
    const saved = await this.saved.find(name);
    for (const { text, ids } of saved.answers) this.own.remember(text, ids);
    return saved;
  }

  /** The same for a next turn that is to be saved under that name. Damage costs a computation, and is told. */
  private async findIfSound(name: string): Promise<SavedConversation | null> {
    try {
      return await this.find(name);
    } catch (error) {
      if (!(error instanceof FloeError) || !error.code.startsWith('context/')) throw error;
      if (error.code !== 'context/not-saved') this.rebuilt(error);
      return null;
    }
  }

  private keeperOf(name: string, conversation: Conversation, { prompt, ...request }: Omit<Asked, 'saved'>) {
    const { picking, seed, maxTokens, stops, continues } = request;
    const answersIn = (ids: readonly number[]) => this.own.within(ids);
    const standing = { prompt, request: { picking, seed, maxTokens, stops, continues }, answersIn };
    const onError = (error: unknown) => this.notice('not-saved', `${name} could not be saved: ${textOf(error)}`);
    return this.saved.keeper(name, conversation, standing, onError);
  }

  private rebuilt(error: unknown): void {
    this.notice('rebuilt', `${textOf(error)} It is computed again.`);
  }

  private notice(kind: LoadNotice['kind'], message: string): void {
    this.notices.push({ kind, message });
  }

  /** The next turn's messages will have this text. Markers and thoughts that a model may write are no part of it. */
  private rememberAnswer(text: string, ids: readonly number[]): void {
    const { tokenizer } = this.parts;
    if (!ids.some((id) => tokenizer.isControl(id))) this.own.remember(text, ids);
  }
}

/** What is saved, as far as it is of use to a prompt. */
function inStorageOf(saved: SavedConversation, prompt: readonly number[], blocks: InStorage['blocks']): InStorage {
  const nShared = Math.min(saved.length, prompt.length - 1, commonLength(idsOf(saved), prompt));
  return { nShared, blocks };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
