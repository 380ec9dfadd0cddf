/** Decode steps: each takes the next token of one conversation, or of several. */
import type { Device } from '../gpu/index.ts';
import type { Clock } from '../host/index.ts';
import type { KvPool, KvSequence } from '../kv/index.ts';
import {
  makeStepActivations,
  type PlacedModel,
  recordDecode,
  STEP_ROWS,
  type StepActivations,
} from '../model/index.ts';
import { Decoder } from './decoder.ts';
import { KeptGraphs } from './keptGraphs.ts';
import { LastIds } from './lastIds.ts';
import { type Draw, type PendingId, Picker, type Picking } from './pick.ts';
import type { Places } from './places.ts';
import { mostExperts } from './promptRunner.ts';
import type { AdaptiveSchedule } from './schedule.ts';
import type { StartedStep } from './scheduler.ts';
import type { DecodeProgram } from './step.ts';

/** What steps and prompts share. */
export interface EngineParts {
  readonly device: Device;
  readonly model: PlacedModel;
  readonly kv: KvPool;
  readonly places: Places;
  readonly schedule: AdaptiveSchedule;
  readonly clock: Clock;
  /** Whether experts may be loaded before they are wanted. */
  readonly prefetch: boolean;
}

/** Where a conversation is: its blocks, and its row of their table. */
export interface Seat {
  readonly sequence: KvSequence;
  readonly row: number;
}

/** What a step does for one conversation. Its input is the id picked last, which never leaves the GPU; or one that is given. */
export interface StepRow extends Draw {
  readonly seat: Seat;
  readonly given?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class Steps {
  readonly s: StepActivations;
  readonly decoder: Decoder;
  readonly ids: LastIds;
  private readonly picker: Picker;
  private readonly graphs: KeptGraphs;
  /** The step that may miss experts and runs by itself; the next one begins behind it. */
  private running: Promise<unknown> = Promise.resolve();
  private nRunning = 0;

  constructor(private readonly parts: EngineParts) {
    const { device, model, kv, schedule, clock } = parts;
    this.s = makeStepActivations(device, model.plan, kv.window);
    this.picker = new Picker(device, this.s, model.plan, STEP_ROWS);
    this.graphs = new KeptGraphs(device, this.s.fault, ['shared']);
    this.ids = new LastIds(device, this.s.tokens.buffer);
    this.decoder = new Decoder(device, this.s, this.picker.sampled, model.experts, schedule, clock);
  }

  /** Conversations that may share a step: all their experts of a layer need slots at once, beside those of a prompt. */
  get mostRows(): number {
    const { experts, plan } = this.parts.model;
    if (!experts || experts.allResident) return STEP_ROWS;
    const nSlots = Math.min(...experts.slots.classes.map((slotClass) => slotClass.nSlots));
    const forSteps = nSlots - mostExperts(nSlots);
    return Math.max(1, Math.min(STEP_ROWS, Math.floor(forSteps / plan.shape.nExpertsUsed)));
  }

  /**
   * Whether every expert has a slot, and no step is still on its way that began before: then steps are submitted whole, one
   * behind the other.
   */
  get cannotMiss(): boolean {
    return this.nRunning === 0 && (this.parts.model.experts?.allResident ?? true);
  }

  /** Compiles what the steps of one conversation need; those that sample are begun and not waited for. */
  async warmUp(): Promise<void> {
    await this.program('greedy', 1, 0);
    // Where nothing can be missing, no schedule asks for it.
    if (this.parts.model.experts?.allResident === false) await this.decoder.calibrate();
    // If it fails, the request that wants it will say so.
    this.program('sample', 1, 0).catch(() => {});
  }

  /** One step of all these conversations: resolves when it is submitted, or on its way where experts may be missing. */
  async run(rows: readonly StepRow[]): Promise<StartedStep<PendingId>> {
    await this.running;
    return this.cannotMiss ? this.submitWhole(rows) : this.begin(rows);
  }

  /** The model's adapters are others: what was recorded is of another model. */
  async adaptersChanged(): Promise<void> {
    await this.s.adapters.fit(this.parts.model.adapters);
    await this.graphs.forget();
  }

  async destroy(): Promise<void> {
    await this.running;
    await this.graphs.forget();
    this.decoder.destroy();
    this.picker.destroy();
    this.ids.destroy();
    this.s.destroy();
  }

  private async submitWhole(rows: readonly StepRow[]): Promise<StartedStep<PendingId>> {
    const program = await this.program(this.picker.kindOf(rows), rows.length, 0);
    const before = rows.map(({ seat }) => seat.sequence.length);
    try {
      this.write(rows);
    } catch (error) {
      rewind(rows, before);
      throw error;
    }
    const ids = once(this.decoder.submit(program).wait);
    for (const { seat } of rows) seat.sequence.settle();
    return { results: rows.map((_, i) => ({ wait: async () => (await ids())[i]! })), done: ids };
  }

  private begin(rows: readonly StepRow[]): StartedStep<PendingId> {
    this.nRunning++;
    const settled = this.settle(rows).finally(() => {
      this.nRunning--;
    });
    this.running = settled;
    const wait = async (i: number) => {
      const result = (await settled)[i]!;
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    };
    return { results: rows.map((_, i) => ({ wait: () => wait(i) })), done: () => settled };
  }

  /** What became of each row. Where an expert can't be had, each goes by itself: only those that want it fail. */
  private async settle(rows: readonly StepRow[]): Promise<PromiseSettledResult<number>[]> {
    try {
      const ids = await this.together(rows);
      return ids.map((value) => ({ status: 'fulfilled', value }));
    } catch (reason) {
      if (rows.length === 1) return [{ status: 'rejected', reason }];
      const each: PromiseSettledResult<number>[] = [];
      for (const row of rows) each.push(...(await this.settle([row])));
      return each;
    }
  }

  private async together(rows: readonly StepRow[]): Promise<readonly number[]> {
    const { schedule, guessAhead } = this.decoder.lookAhead(this.parts.prefetch);
    const program = await this.program(this.picker.kindOf(rows), rows.length, guessAhead);
    const before = rows.map(({ seat }) => seat.sequence.length);
    const all = allAborted(rows.map(({ signal }) => signal));
    try {
      this.write(rows);
      return await this.decoder.run(program, schedule, all.signal);
    } catch (error) {
      rewind(rows, before);
      throw error;
    } finally {
      all.end();
      for (const { seat } of rows) seat.sequence.settle();
    }
  }

  private program(kind: Picking['kind'], nRows: number, guessAhead: number): Promise<DecodeProgram> {
    const { model, kv } = this.parts;
    const name = `${nRows === 1 ? 'alone' : `shared by ${nRows}`}, ${kind}, guess ${guessAhead}`;
    return this.graphs.get(name, (rec) => {
      const cuts = recordDecode(rec, model, kv, this.s, { nRows, guessAhead });
      this.picker.record(rec, kind, nRows);
      return { cuts: { ...cuts, end: rec.nRecorded }, guessAhead, nRows };
    });
  }

  /** Tells the next step what its rows are. */
  private write(rows: readonly StepRow[]): void {
    const { kv, places } = this.parts;
    const tokens = rows.map(({ seat: { sequence, row } }) => {
      const step = sequence.extend(1);
      kv.prepare(row, step);
      return { position: step.first, row };
    });
    for (const { given, seat } of rows) if (given !== undefined) this.ids.give(given, seat.row);
    this.ids.seat(rows.map(({ seat }) => seat.row));
    this.picker.write(rows);
    places.write(this.s, tokens);
  }
}

/** Back to where they were, each. */
function rewind(rows: readonly StepRow[], lengths: readonly number[]): void {
  for (const [i, { seat }] of rows.entries()) seat.sequence.rewind(lengths[i]!);
}

/** Begins what it is to wait for when somebody first waits. */
function once<T>(begin: () => Promise<T>): () => Promise<T> {
  let begun: Promise<T> | null = null;
  return () => {
    begun ??= begin();
    return begun;
  };
}

/** Fires when nobody wants it any longer. */
function allAborted(signals: readonly (AbortSignal | undefined)[]): {
  signal: AbortSignal | undefined;
  end: () => void;
} {
  if (signals.length === 1) return { signal: signals[0], end: () => {} };
  const all = new AbortController();
  const check = () => {
    if (signals.every((signal) => signal?.aborted)) all.abort(signals[0]?.reason);
  };
  for (const signal of signals) signal?.addEventListener('abort', check);
  const end = () => {
    for (const signal of signals) signal?.removeEventListener('abort', check);
  };
  check();
  return { signal: all.signal, end };
}
