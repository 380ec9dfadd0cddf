/** One conversation: what the cache holds of it, and how it goes on. */
import { throwIfAborted } from '../errors/index.ts';
import { type Device, readBuffer } from '../gpu/index.ts';
import type { KvSequence } from '../kv/index.ts';
import type { ContextPlan, PlacedModel } from '../model/index.ts';
import { checkRoom } from './contextFull.ts';
import type { PendingId, Picking } from './pick.ts';
import type { Prompts, PromptTurn } from './prompts.ts';
import type { Member, PromptTurns, Scheduler } from './scheduler.ts';
import type { Seat, StepRow, Steps } from './steps.ts';

/** What a conversation shares with others. */
export interface Shared {
  readonly device: Device;
  readonly model: PlacedModel;
  readonly context: ContextPlan;
  readonly scheduler: Scheduler<StepRow, PendingId>;
  readonly steps: Steps;
  readonly prompts: Prompts;
  /** A conversation with these blocks. */
  readonly seat: (sequence: KvSequence) => Conversation;
}

export class Conversation {
  /** The ids of the first positions, as far as they are known. */
  private held: readonly number[] = [];
  /** While it decodes. */
  private member: Member | null = null;

  constructor(
    private readonly shared: Shared,
    readonly seat: Seat,
    private readonly onClose: () => void,
  ) {}

  get context(): ContextPlan {
    return this.shared.context;
  }

  /** Positions so far; the next token's position. */
  get length(): number {
    return this.seat.sequence.length;
  }

  /** The ids of the first positions, as far as they are known. */
  get heldIds(): readonly number[] {
    return this.held;
  }

  /** Whether a step may be asked for before the last one's id is known: no expert can be missing. */
  get cannotMiss(): boolean {
    return this.shared.steps.cannotMiss;
  }

  /** From now on others wait a moment for it before a step they could share. Returns how that ends. */
  enter(): () => void {
    const { scheduler } = this.shared;
    const member = scheduler.enter();
    this.member = member;
    return () => {
      scheduler.leave(member);
      if (this.member === member) this.member = null;
    };
  }

  /** Puts `ids` through the layers and picks the id that follows. */
  async prefill(
    ids: readonly number[],
    picking: Picking,
    u: number,
    onUnit: () => void,
    signal?: AbortSignal,
  ): Promise<PendingId> {
    const { scheduler, prompts, steps } = this.shared;
    this.checkRoom(ids.length);
    const before = this.length;
    const pending = await scheduler.prompt(async (turns) => {
      const id = await prompts.pick(this.seat, ids, { picking, u }, turnOf(turns, onUnit, signal));
      steps.ids.take(prompts.pickedIn, this.seat.row);
      return id;
    }, signal);
    if (this.held.length === before) this.held = [...this.held, ...ids];
    return pending;
  }

  /** One decode step, shared with whoever else wants one. Its input is the id picked last; or one that is given. */
  decode(picking: Picking, u: number, signal?: AbortSignal, given?: number): Promise<PendingId> {
    this.checkRoom(1);
    return this.shared.scheduler.step({ seat: this.seat, picking, u, signal, given }, this.member);
  }

  /** Logits [ids.length, nVocab] after each of `ids`; for log-probabilities. */
  async *logits(ids: readonly number[], onUnit: () => void, signal?: AbortSignal): AsyncGenerator<Float32Array> {
    const { scheduler, prompts } = this.shared;
    const chunkTokens = Math.min(ids.length, prompts.chunkTokens);
    // One chunk after the other, so that no more than a chunk's logits are held.
    for (let at = 0; at < ids.length; at += chunkTokens) {
      const chunk = ids.slice(at, at + chunkTokens);
      this.checkRoom(chunk.length);
      yield* await scheduler.prompt((turns) => prompts.logits(this.seat, chunk, turnOf(turns, onUnit, signal)), signal);
    }
  }

  /** Logits [nVocab] after each of `ids` but the first, each by a decode step of its own, from an empty cache. */
  async *replay(ids: readonly number[], signal?: AbortSignal): AsyncGenerator<Float32Array> {
    const { scheduler, steps, device, model } = this.shared;
    const greedy = { kind: 'greedy' } as const;
    this.rewind(0);
    await (await this.prefill(ids.slice(0, 1), greedy, 0, () => throwIfAborted(signal), signal)).wait();
    for (const given of ids.slice(1)) {
      throwIfAborted(signal);
      this.checkRoom(1);
      // As a prompt's turn: no step of another writes over its logits before they are read.
      yield await scheduler.prompt(async () => {
        const { results } = await steps.run([{ seat: this.seat, picking: greedy, u: 0, signal, given }]);
        await results[0]!.wait();
        return new Float32Array(await readBuffer(device, steps.s.logits.buffer, 0, model.plan.nVocab * 4));
      }, signal);
    }
  }

  /** How many of the first of `ids` need not be put through: the cache holds them. At least their last is left, whose logits are wanted. */
  shares(ids: readonly number[]): number {
    const most = Math.min(this.held.length, this.length, ids.length - 1);
    const nShared = Math.min(most, commonLength(this.held, ids));
    return this.seat.sequence.canRewind(nShared) ? nShared : 0;
  }

  /** Goes back to what `ids` share with it; how many that are. */
  reuse(ids: readonly number[]): number {
    const kept = this.shares(ids);
    this.rewind(kept);
    return kept;
  }

  /** Says which ids were put through: a decode step's never left the GPU. Those that were not are ignored. */
  holds(ids: readonly number[]): void {
    this.held = ids.slice(0, this.length);
  }

  /** Forgets what comes after the first `length` positions. */
  rewind(length: number): void {
    this.seat.sequence.rewind(length);
    this.held = this.held.slice(0, length);
  }

  /** Another conversation that begins as this one does, and shares the blocks of its first `length` positions. */
  fork(length: number): Conversation {
    const sequence = this.seat.sequence.fork(length);
    try {
      const other = this.shared.seat(sequence);
      other.held = this.held.slice(0, length);
      return other;
    } catch (error) {
      sequence.release();
      throw error;
    }
  }

  /** Lets go of its blocks. Nothing of it may be under way. */
  close(): void {
    this.seat.sequence.release();
    this.held = [];
    this.onClose();
  }

  /** @throws {ContextError} `context/full` */
  private checkRoom(nTokens: number): void {
    checkRoom(this.context, this.length + nTokens);
  }
}

/** How many of the first ids are the same in both. */
export function commonLength(a: readonly number[], b: readonly number[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}

function turnOf({ between, aside }: PromptTurns, onUnit: () => void, signal: AbortSignal | undefined): PromptTurn {
  const beforeUnit = async () => {
    onUnit();
    await between();
    throwIfAborted(signal);
  };
  return { beforeUnit, aside, signal };
}
