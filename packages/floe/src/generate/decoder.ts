/** Decodes one token: whole, or as far ahead as the schedule allows where experts may be missing. */
import type { ExpertCache } from '../experts/index.ts';
import type { Device } from '../gpu/index.ts';
import type { Clock } from '../host/index.ts';
import type { Activations } from '../model/index.ts';
import { GuessWorth } from './foresight.ts';
import type { AdaptiveSchedule } from './schedule.ts';
import { type DecodeProgram, Step } from './step.ts';
import { type ReadOf, StepDevice } from './stepDevice.ts';
import { TokenRoutes } from './tokenRoutes.ts';

export class Decoder {
  /** Hears of each token's routes. */
  onRoutes: (routes: TokenRoutes) => void = () => {};
  /** Missing experts of a smaller share of the gate's weight are left out; 0: none ever is. */
  dropBelow = 0;
  private readonly stepDevice: StepDevice;
  private readonly worth: GuessWorth | null;

  constructor(
    device: Device,
    s: Activations,
    sampled: GPUBuffer,
    private readonly experts: ExpertCache | null,
    private readonly schedule: AdaptiveSchedule,
    private readonly clock: Clock,
  ) {
    this.stepDevice = new StepDevice(device, s, sampled, schedule, clock);
    this.worth = experts && new GuessWorth(experts, schedule);
  }

  /** Whether a step should guess what later layers will choose. */
  get guessesPay(): boolean {
    return this.worth?.pays ?? false;
  }

  /** Submits a step of which no expert can be missing, whole; `wait` gives the id it picked. */
  submit({ graph, cuts }: DecodeProgram): { readonly wait: () => Promise<number> } {
    const read = { first: 0, end: cuts.layers.length, withId: true };
    const pending = this.stepDevice.submitWhole(graph, read);
    const { nSubmitted } = this.stepDevice;
    return {
      wait: async () => {
        const isBlocking = this.stepDevice.nSubmitted === nSubmitted;
        const bytes = await pending.wait();
        this.noteWhole(bytes, read, isBlocking);
        return this.stepDevice.idIn(bytes);
      },
    };
  }

  /**
   * Decodes with experts that may be missing. The host learns each layer's routes while later layers are queued; behind
   * a miss they fall through, the missing expert is brought in, and the step goes on from where it stood.
   *
   * @throws {FloeError} what bringing an expert in throws; the device is ready for the next step then.
   */
  async run(program: DecodeProgram, signal?: AbortSignal): Promise<number> {
    const { stepDevice: device, schedule: measured, clock, dropBelow } = this;
    const experts = this.experts!;
    const step = new Step(
      { device, experts, measured, worth: this.worth!, clock, dropBelow },
      program,
      measured.choose(experts.allResident),
    );
    try {
      const id = await step.run(signal);
      this.onRoutes(step.routes);
      return id;
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

  private noteWhole(bytes: ArrayBuffer, read: ReadOf, isBlocking: boolean): void {
    const { experts } = this;
    if (!experts || read.end === 0) return;
    const routes = new TokenRoutes(experts);
    for (let layer = 0; layer < read.end; layer++) {
      routes.note(layer, this.stepDevice.routesIn(bytes, read, layer, experts.size.nExpertsUsed));
    }
    routes.ended();
    // Nothing was queued behind it when the wait began.
    if (isBlocking) experts.counts.blockingWaits++;
    this.onRoutes(routes);
  }
}
