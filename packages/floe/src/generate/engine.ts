/** What conversations with a model share on the device: the cache, the buffers of steps and of prompts, and whose turn it is. */
import { ContextError } from '../errors/index.ts';
import type { Device } from '../gpu/index.ts';
import { type Clock, turn } from '../host/index.ts';
import { KV_ROWS, KvPool, KvSequence } from '../kv/index.ts';
import {
  type ContextPlan,
  contextPlan,
  denseRecords,
  kvWindow,
  type PlacedModel,
  routesFromInput,
  stepSizes,
} from '../model/index.ts';
import { Conversation } from './conversation.ts';
import type { Decoder } from './decoder.ts';
import type { PendingId } from './pick.ts';
import { Places } from './places.ts';
import { Prompts } from './prompts.ts';
import { AdaptiveSchedule, type Schedule } from './schedule.ts';
import { Scheduler } from './scheduler.ts';
import { type StepRow, Steps } from './steps.ts';

export class Engine {
  readonly kv: KvPool;
  readonly context: ContextPlan;
  readonly schedule: AdaptiveSchedule;
  readonly places: Places;
  readonly prompts: Prompts;
  readonly steps: Steps;
  readonly scheduler: Scheduler<StepRow, PendingId>;
  /** Rows of the block table that no conversation has. */
  private readonly freeRows: number[];

  constructor(
    readonly device: Device,
    readonly model: PlacedModel,
    /** What is remembered; or a number of positions, kept in F32, at whose end answers stop. */
    context: ContextPlan | number,
    clock: Clock,
    schedule: Partial<Schedule> = {},
    /** Whether experts may be loaded before they are wanted. */
    prefetch = true,
  ) {
    const { plan } = model;
    this.context = contextPlan(context);
    const { kv: format, nWindows } = this.context;
    const sizes = stepSizes(plan, this.context);
    this.kv = new KvPool(device, plan.shape, format, kvWindow(this.context, sizes.chunkTokens), nWindows);
    this.places = new Places(device, model, this.context.window);
    this.schedule = new AdaptiveSchedule(plan.shape.nRoutedLayers, hidingShare(model), schedule);
    const { kv, places } = this;
    const parts = { device, model, kv, places, schedule: this.schedule, clock, prefetch };
    this.prompts = new Prompts(parts, sizes);
    this.steps = new Steps(parts);
    this.scheduler = new Scheduler({
      mostRows: () => this.steps.mostRows,
      runStep: (rows) => this.steps.run(rows),
      turn,
    });
    this.freeRows = Array.from({ length: KV_ROWS }, (_, i) => KV_ROWS - 1 - i);
  }

  /** A conversation without a token yet. @throws {ContextError} `context/kv-full`: as many are open as there may be. */
  open(): Conversation {
    return this.seat(new KvSequence(this.kv.blocks, this.kv.window));
  }

  /**
   * A conversation of these ids that was saved: of its first `length` positions it has the blocks that begin at
   * `positions`. What they hold is the caller's to write, before it goes on.
   * @throws {ContextError} `context/kv-full`: no room for so many.
   */
  restore(ids: readonly number[], length: number, positions: readonly number[]): Conversation {
    const sequence = KvSequence.resume(this.kv.blocks, this.kv.window, length, positions);
    try {
      const conversation = this.seat(sequence);
      conversation.holds(ids);
      return conversation;
    } catch (error) {
      sequence.release();
      throw error;
    }
  }

  /** A conversation whose blocks are known: a fork of another, or one that was saved. */
  seat(sequence: KvSequence): Conversation {
    const row = this.freeRows.pop();
    if (row === undefined) throw tooMany();
    return new Conversation(this, { sequence, row }, () => this.freeRows.push(row));
  }

  /** Whether one more may be opened. */
  get hasFreeRow(): boolean {
    return this.freeRows.length > 0;
  }

  get decoder(): Decoder {
    return this.steps.decoder;
  }

  /** Whether steps may be asked for before the one before has ended: no expert can be missing. */
  get cannotMiss(): boolean {
    return this.steps.cannotMiss;
  }

  /** Compiles what an answer needs. */
  async warmUp(): Promise<void> {
    await Promise.all([this.steps.warmUp(), this.prompts.warmUp()]);
  }

  /**
   * The model's adapters came, went, or weigh something else. What conversations hold was computed by another model: none may be
   * open that goes on.
   */
  async adaptersChanged(): Promise<void> {
    await this.scheduler.idle();
    await this.steps.adaptersChanged();
    await this.prompts.adaptersChanged();
  }

  /** Waits for what is under way or still being compiled, and gives everything back. */
  async destroy(): Promise<void> {
    await this.scheduler.idle();
    await this.steps.destroy();
    await this.prompts.destroy();
    this.kv.destroy();
  }
}

/** How much of a layer's bytes, and so about of its time, comes behind the routing and needs no experts. */
function hidingShare({ plan }: PlacedModel): number {
  if (!routesFromInput(plan)) return 0;
  const { experts, ...hidden } = plan.layers[0]!;
  const hiding = denseRecords(hidden).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return hiding / (hiding + plan.shape.nExpertsUsed * (experts?.records[0]?.sizeBytes ?? 0));
}

function tooMany(): ContextError {
  return new ContextError('context/kv-full', `${KV_ROWS} conversations are open, as many as there may be.`, {
    remedy: 'Close one of them.',
    details: { open: KV_ROWS },
  });
}
