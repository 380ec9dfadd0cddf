/** Saves one answer while it goes on. */
import { FloeError } from '../errors/index.ts';
import type { AnswerRequest, Conversation, Engine } from '../generate/index.ts';
import type { Host } from '../host/index.ts';
import { KV_BLOCK } from '../kernels/index.ts';
import { type HeldBlock, portionsOf } from '../kv/index.ts';
import type { ConversationWriter, OwnAnswer, PutBlocks, SavedConversation } from '../store/index.ts';

/** What an answer was asked with, as far as going on with it needs that. */
export type SavedRequest = Pick<AnswerRequest, 'picking' | 'seed' | 'maxTokens' | 'stops' | 'continues'>;

/** What an answer goes on from, whatever has come of it. */
export interface Standing {
  readonly prompt: readonly number[];
  readonly request: SavedRequest;
  /** The model's own answers among these ids. */
  readonly answersIn: (ids: readonly number[]) => OwnAnswer[];
}

/** Ids after which an answer is saved again: a block's. */
const EVERY_IDS = 32;

interface KeeperParts {
  readonly writer: ConversationWriter;
  readonly host: Host;
  readonly engine: Engine;
  readonly conversation: Conversation;
  readonly fixed: Pick<SavedConversation, 'name' | 'model' | 'layout' | 'blockBytes'>;
  readonly standing: Standing;
  /** Nothing is saved by it any more. */
  readonly onEnd: () => void;
  /** A save has failed; the answer goes on. */
  readonly onError: (error: unknown) => void;
}

/** Saves one answer, from time to time and at its end; a save that is under way is not waited for. */
export class Keeper {
  private saving: Promise<void> = Promise.resolve();
  private isSaving = false;
  private isOver = false;
  private hasFailed = false;
  private nSaved = -1;
  /** Of the blocks that are saved, by position. */
  private hashes: ReadonlyMap<number, string> = new Map();
  /** Positions that were complete when it was saved last. */
  private length = 0;

  constructor(private readonly parts: KeeperParts) {}

  /** One more id has come. */
  note(answer: readonly number[]): void {
    if (this.isOver || this.isSaving || (this.nSaved >= 0 && answer.length < this.nSaved + EVERY_IDS)) return;
    void this.save(answer);
  }

  /** Saves it as it is now. Nothing of the conversation may be under way. */
  async finish(answer: readonly number[]): Promise<void> {
    await this.saving;
    if (!this.isOver) await this.save(answer);
    this.parts.onEnd();
  }

  /** Another answer is saved under its name from now on. */
  async giveWay(): Promise<void> {
    this.isOver = true;
    await this.saving;
  }

  private save(answer: readonly number[]): Promise<void> {
    this.isSaving = true;
    this.nSaved = answer.length;
    this.saving = this.write([...answer])
      .then(
        () => {
          this.hasFailed = false;
        },
        (error: unknown) => this.failed(error),
      )
      .finally(() => {
        this.isSaving = false;
      });
    return this.saving;
  }

  /** It is tried again later, and told once; unless the name is another's. */
  private failed(error: unknown): void {
    if (error instanceof FloeError && error.code === 'store/evicted') this.isOver = true;
    if (!this.hasFailed) this.parts.onError(error);
    this.hasFailed = true;
  }

  private async write(answer: readonly number[]): Promise<void> {
    const { conversation, standing, fixed, host, writer } = this.parts;
    const length = Math.min(conversation.length, standing.prompt.length + answer.length);
    const held = conversation.seat.sequence.heldBlocks().filter(({ position }) => position < length);
    const stale = held.filter(({ position }) => !this.hashes.has(position) || position + KV_BLOCK > this.length);
    const hashes = new Map(this.hashes);
    let isWhole = false;
    await writer.save(stale.length * fixed.blockBytes, async (put) => {
      isWhole = await this.putAll(stale, put, hashes);
      return isWhole
        ? {
            ...fixed,
            prompt: Uint32Array.from(standing.prompt),
            answer: Uint32Array.from(answer),
            answers: standing.answersIn([...standing.prompt, ...answer]),
            request: standing.request,
            length,
            blocks: held.map(({ position }) => ({ position, sha256: hashes.get(position)! })),
            savedMs: host.clock.epochMs(),
          }
        : null;
    });
    if (!isWhole) {
      this.nSaved = -1;
      return;
    }
    this.hashes = new Map(held.map(({ position }) => [position, hashes.get(position)!]));
    this.length = length;
  }

  /** Writes blocks, a portion after another; false where one went to later positions before it was read. */
  private async putAll(stale: readonly HeldBlock[], put: PutBlocks, hashes: Map<number, string>): Promise<boolean> {
    const { conversation, engine } = this.parts;
    for (const portion of portionsOf(stale, engine.kv.savedBytes)) {
      const read = await engine.kv.read(portion.map(({ block }) => block));
      const now = new Map(conversation.seat.sequence.heldBlocks().map((one) => [one.position, one.block]));
      if (portion.some(({ position, block }) => now.get(position) !== block)) return false;
      const named = await put(read);
      for (const [i, { position }] of portion.entries()) hashes.set(position, named[i]!);
    }
    return true;
  }
}
