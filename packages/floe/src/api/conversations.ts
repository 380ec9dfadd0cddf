/** Which of a model's conversations an answer goes on with, and when there is room for it. */
import { orAborted } from '../errors/index.ts';
import type { Conversation, Engine } from '../generate/index.ts';
import { KV_BLOCK } from '../kernels/index.ts';
import type { KvPool } from '../kv/index.ts';
import { TurnQueue } from './queue.ts';
import type { SavedBlocks } from './savedConversations.ts';
import type { Spilled } from './spilled.ts';

/** A conversation that is saved, and read where nothing that is nearer has as much of a prompt. */
export interface InStorage {
  /** How many of the prompt's first ids it has computed; of all of them, all but the last. */
  readonly nShared: number;
  /** Null where they are better computed again. */
  readonly blocks: SavedBlocks | null;
}

/** What an answer needs of the cache. */
export interface Wanted {
  /** What it begins with, if another has computed it. */
  readonly shared: readonly number[];
  /** Of prompt and answer, at the most; infinity where nothing says how many. */
  readonly nTokens: number;
  /** What is saved and may be gone on from. */
  readonly saved?: InStorage | null;
  readonly signal: AbortSignal;
}

/** A conversation, and how many of a prompt's ids it has computed. */
interface Best {
  readonly conversation: Conversation;
  readonly nShared: number;
}

/** What of an engine decides who has room. */
export interface Room extends Pick<Engine, 'hasFreeRow' | 'open'> {
  readonly kv: Pick<KvPool, 'blocks' | 'geometry'>;
}

/** Conversations that answer now, and those that may be gone on with, while there is room for both. */
export class Conversations {
  /** The one used last is at the end. */
  private idle: Conversation[] = [];
  /** Those that answer, and how many blocks each may come to need. */
  private readonly busy = new Map<Conversation, number>();
  /** First come, first served: nobody small passes one who waits for much. */
  private readonly queue = new TurnQueue();
  private changed = () => {};

  constructor(
    private readonly engine: Room,
    /** Where those go that make room. */
    private readonly spilled: Pick<Spilled, 'keep' | 'bring' | 'forget'>,
  ) {}

  /**
   * The conversation that shares most of the prompt, or a fork of it where it holds more than that; a new one where none
   * shares enough. Waits until there is room for all the answer may need. `release` gives it back.
   *
   * @throws {RequestError} `request/busy`: too many wait already. `request/aborted`.
   * @throws what reading `saved` throws.
   */
  async take({ shared, nTokens, saved, signal }: Wanted): Promise<{ conversation: Conversation; release: () => void }> {
    const nBlocks = this.blocksOf(nTokens);
    const endTurn = await this.queue.enter(signal);
    try {
      while (this.nPromised + nBlocks > this.engine.kv.blocks.nBlocks || !this.hasRow)
        await orAborted(this.nextChange(), signal);
      // In this turn, so that nothing changes what acts on the weights meanwhile.
      await this.spilled.bring(shared, this.shared(shared), (blocks) => this.adopt(blocks));
      if (saved) await this.bring(saved, shared);
      const conversation = await this.choose(shared);
      this.busy.set(conversation, nBlocks);
      await this.makeRoom();
      return { conversation, release: () => this.release(conversation) };
    } finally {
      endTurn();
    }
  }

  /** In the cache, whether they answer now or may be gone on with. */
  get nLive(): number {
    return this.idle.length + this.busy.size;
  }

  /** How many of these ids one of them has computed already, at the most. */
  shared(ids: readonly number[]): number {
    return this.best(ids)?.nShared ?? 0;
  }

  /** The one that has computed most of these ids; null where none has any. */
  private best(ids: readonly number[]): Best | null {
    let best = null;
    for (const conversation of [...this.idle, ...this.busy.keys()]) {
      const nShared = conversation.shares(ids);
      if (nShared > (best?.nShared ?? 0)) best = { conversation, nShared };
    }
    return best;
  }

  /** What is saved comes to the cache, where it has more of these ids than is there. */
  private async bring({ nShared, blocks }: InStorage, ids: readonly number[]): Promise<void> {
    if (blocks && nShared > this.shared(ids)) await this.adopt(blocks);
  }

  /** Takes in one that comes back from storage, unless those that answer need the room: whether it did. */
  private async adopt({ nBlocks, open }: SavedBlocks): Promise<boolean> {
    const { blocks } = this.engine.kv;
    if (this.nPromised + nBlocks > blocks.nBlocks) return false;
    await this.freeRow(null);
    while (this.idle.length > 0 && this.missing + nBlocks > blocks.nFree) await this.close(this.idle[0]!);
    if (!this.hasFreeRow || this.missing + nBlocks > blocks.nFree) return false;
    // It has its blocks at once, and is nobody's while they are read.
    const opened = await open();
    if (opened) this.idle.push(opened);
    return opened !== null;
  }

  /** Resolves when nobody answers, and keeps it so until the returned function is called. */
  async alone(signal: AbortSignal): Promise<() => void> {
    const endTurn = await this.queue.enter(signal);
    try {
      while (this.busy.size > 0) await orAborted(this.nextChange(), signal);
      this.forget();
      await this.spilled.forget();
    } catch (error) {
      endTurn();
      throw error;
    }
    return endTurn;
  }

  /** Resolves when nobody answers or waits. */
  async drained(): Promise<void> {
    await this.queue.idle();
    while (this.busy.size > 0) await this.nextChange();
  }

  private release(conversation: Conversation): void {
    this.busy.delete(conversation);
    if (conversation.heldIds.length > 0) this.idle.push(conversation);
    else conversation.close();
    const wake = this.changed;
    this.changed = () => {};
    wake();
  }

  private async choose(prompt: readonly number[]): Promise<Conversation> {
    const before = this.best(prompt);
    if (!before || !this.goesOn(before)) await this.freeRow(isWorthFork(before) ? before.conversation : null);
    // Once more: those that answer went on meanwhile.
    const best = this.best(prompt);
    if (best && this.goesOn(best)) return this.wake(best.conversation);
    return isWorthFork(best) ? best.conversation.fork(best.nShared) : this.engine.open();
  }

  /** Whether it is gone on with itself: nobody needs what it holds beyond the prompt, or there is no row for a fork. */
  private goesOn({ conversation, nShared }: Best): boolean {
    if (!this.idle.includes(conversation)) return false;
    if (nShared >= conversation.heldIds.length) return true;
    return nShared >= KV_BLOCK && !this.hasFreeRow && this.idle.length === 1;
  }

  private wake(conversation: Conversation): Conversation {
    this.idle = this.idle.filter((one) => one !== conversation);
    return conversation;
  }

  /** Forgets the conversations not used for longest until those that answer have what they were promised. */
  private async makeRoom(): Promise<void> {
    while (this.idle.length > 0 && this.missing > this.engine.kv.blocks.nFree) await this.close(this.idle[0]!);
  }

  /** Blocks that were promised and are not taken yet. */
  private get missing(): number {
    const { blocks } = this.engine.kv;
    // What is shared is copied before it is written to: it counts for nobody.
    const own = (one: Conversation) =>
      one.seat.sequence.heldBlocks().filter(({ block }) => !blocks.isShared(block)).length;
    return [...this.busy].reduce((sum, [one, n]) => sum + Math.max(0, n - own(one)), 0);
  }

  private async freeRow(spared: Conversation | null): Promise<void> {
    if (this.hasFreeRow) return;
    const oldest = this.idle.find((one) => one !== spared);
    if (oldest) await this.close(oldest);
  }

  /** Makes room: what it held is kept elsewhere. It is nobody's to go on with from now on. */
  private async close(conversation: Conversation): Promise<void> {
    this.idle = this.idle.filter((one) => one !== conversation);
    await this.spilled.keep(conversation);
    conversation.close();
  }

  private forget(): void {
    for (const conversation of this.idle.splice(0)) conversation.close();
  }

  private get hasFreeRow(): boolean {
    return this.engine.hasFreeRow;
  }

  private get hasRow(): boolean {
    return this.hasFreeRow || this.idle.length > 0;
  }

  private get nPromised(): number {
    return [...this.busy.values()].reduce((sum, n) => sum + n, 0);
  }

  /** Blocks of a conversation of so many positions, at the most: one more, where it begins in the middle of another's. */
  private blocksOf(length: number): number {
    return Math.min(this.engine.kv.geometry.tableBlocks, Math.ceil(length / KV_BLOCK) + 1);
  }

  private nextChange(): Promise<void> {
    const before = this.changed;
    return new Promise((resolve) => {
      this.changed = () => {
        before();
        resolve();
      };
    });
  }
}

function isWorthFork(best: Best | null): best is Best {
  return best !== null && best.nShared >= KV_BLOCK;
}
