/** Runs a decode step: whole, or as far ahead as the schedule allows where experts may be missing. */
import type { ExpertCache } from '../experts/index.ts';
import type { Device } from '../gpu/index.ts';
import type { Clock } from '../host/index.ts';
import type { StepActivations } from '../model/index.ts';
import { GuessWorth } from './foresight.ts';
import { type Ahead, Lookahead } from './lookahead.ts';
import type { AdaptiveSchedule, Schedule } from './schedule.ts';
import { type DecodeProgram, Step } from './step.ts';
import { type ReadOf, StepDevice } from './stepDevice.ts';
import { StepRoutes, type TokenRoutes } from './stepRoutes.ts';

export class Decoder {
  /** Hears of each token's routes. */
  onRoutes: (routes: TokenRoutes) => void = () => {};
  /** Missing experts of a smaller share of the gate's weight are left out; 0: none ever is. */
  dropBelow = 0;
  private readonly stepDevice: StepDevice;
  private readonly worth: GuessWorth | null;
  private readonly lookahead: Lookahead | null;

  constructor(
    device: Device,
    s: StepActivations,
    sampled: GPUBuffer,
    private readonly experts: ExpertCache | null,
    private readonly schedule: AdaptiveSchedule,
    private readonly clock: Clock,
  ) {
    this.stepDevice = new StepDevice(device, s, sampled, schedule, clock);
    this.worth = experts && new GuessWorth(experts, schedule);
    this.lookahead = experts && new Lookahead(experts, schedule, this.worth!);
  }

  /** How far the next step that may miss experts should run ahead, and whether to guess. */
  lookAhead(prefetch: boolean): Ahead {
    return this.lookahead!.choose(prefetch);
  }

  /** Submits a step of which no expert can be missing, whole; `wait` gives the ids it picked, by row. */
  submit({ graph, cuts, nRows }: DecodeProgram): { readonly wait: () => Promise<readonly number[]> } {
    const read = { first: 0, end: cuts.layers.length, withIds: true };
    const pending = this.stepDevice.submitWhole(graph, read);
    const { nSubmitted } = this.stepDevice;
    return {
      wait: async () => {
        const isBlocking = this.stepDevice.nSubmitted === nSubmitted;
        const bytes = await pending.wait();
        this.noteWhole(bytes, read, nRows, isBlocking);
        return this.stepDevice.idsIn(bytes, nRows);
      },
    };
  }

  /**
   * Runs a step with experts that may be missing. The host learns each layer's routes while later layers are queued; behind
   * a miss they fall through, the missing expert is brought in, and the step goes on from where it stood.
   *
   * @throws {FloeError} what bringing an expert in throws; the device is ready for the next step then.
   */
  async run(program: DecodeProgram, schedule: Schedule, signal?: AbortSignal): Promise<readonly number[]> {
    const { stepDevice: device, schedule: measured, clock, dropBelow } = this;
    const experts = this.experts!;
    const step = new Step({ device, experts, measured, worth: this.worth!, clock, dropBelow }, program, schedule);
    const before = experts.counts.faultedLayers;
    try {
      const ids = await step.run(signal);
      this.worth!.ended();
      this.lookahead!.ended(program.guessAhead > 0, experts.counts.faultedLayers - before);
      for (const token of step.routes.tokens) this.onRoutes(token);
      return ids;
    } catch (error) {
      step.abandon();
      throw error;
    }
  }

  /** Measures an idle read-back, so that the first tokens' schedule is no guess. */
  async calibrate(): Promise<void> {
    for (let i = 0; i < 3; i++) this.schedule.latency(await this.stepDevice.timeReadback());
  }

  destroy(): void {
    this.stepDevice.destroy();
  }

  private noteWhole(bytes: ArrayBuffer, read: ReadOf, nRows: number, isBlocking: boolean): void {
    const { experts } = this;
    if (!experts || read.end === 0) return;
    const routes = new StepRoutes(experts, nRows);
    for (let layer = 0; layer < read.end; layer++) {
      routes.note(layer, this.stepDevice.routesIn(bytes, read, layer, nRows));
    }
    routes.ended();
    // Nothing was queued behind it when the wait began.
    if (isBlocking) experts.counts.blockingWaits++;
    for (const token of routes.tokens) this.onRoutes(token);
  }
}
