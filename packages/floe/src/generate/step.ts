/** A token, or one each of several conversations, on its way through the layers, some of whose experts may be missing. */
import { InternalError } from '../errors/index.ts';
import type { ExpertCache } from '../experts/index.ts';
import type { Graph } from '../gpu/index.ts';
import type { Clock } from '../host/index.ts';
import { ABSENT } from '../kernels/index.ts';
import type { StepCuts } from '../model/index.ts';
import { leftOut } from './dropped.ts';
import { Foresight, type GuessWorth } from './foresight.ts';
import type { AdaptiveSchedule, Schedule } from './schedule.ts';
import type { Range, ReadOf, StepDevice } from './stepDevice.ts';
import { type Routed, StepRoutes } from './stepRoutes.ts';

/** A recorded decode step. */
export interface DecodeProgram {
  readonly graph: Graph;
  readonly cuts: StepCuts;
  /** How many layers later its guesses are for; 0: it makes none. */
  readonly guessAhead: number;
  /** Tokens, of a conversation each. */
  readonly nRows: number;
}

/** What a step works with. */
export interface StepContext {
  readonly device: StepDevice;
  readonly experts: ExpertCache;
  readonly measured: AdaptiveSchedule;
  readonly worth: GuessWorth;
  readonly clock: Clock;
  /** Missing experts of a smaller share of the gate's weight are left out; 0: none ever is. */
  readonly dropBelow: number;
}

interface Read extends ReadOf {
  readonly bytes: Promise<ArrayBuffer>;
  readonly submittedMs: number;
  /** Submissions of the step up to it. */
  readonly nSent: number;
}

/** A layer that misses an expert, with all that the rows chose. */
interface Missed {
  readonly layer: number;
  readonly routed: readonly Routed[];
}

export class Step {
  readonly routes: StepRoutes;
  /** Dispatches submitted, and layers whose routing is among them. */
  private at = 0;
  private nRouted = 0;
  private nSent = 0;
  /** Layers whose experts are known to be there. */
  private nKnown = 0;
  private reads: Read[] = [];
  /** A look-up to be made again, before what comes next. */
  private again: readonly Range[] = [];
  /** The layer whose routing is submitted and whose experts are not. */
  private held: number | null = null;
  private readonly foresight: Foresight;
  private release: () => void = () => {};

  constructor(
    private readonly context: StepContext,
    private readonly program: DecodeProgram,
    private readonly schedule: Schedule,
  ) {
    const { experts, measured, worth, clock } = context;
    this.routes = new StepRoutes(experts, program.nRows);
    this.foresight = new Foresight(experts, measured, worth, clock, program.guessAhead);
  }

  /** The ids that were picked, by row. @throws {FloeError} what bringing an expert in throws; `abandon` it then. */
  async run(signal: AbortSignal | undefined): Promise<readonly number[]> {
    const { device, measured } = this.context;
    for (;;) {
      // Behind what was wanted, before what is submitted next: else the next routing would not find it. The device is
      // busy with what needs no experts, or with layers queued ahead.
      this.foresight.act();
      this.submit();
      const read = this.reads.shift();
      if (!read) throw new InternalError('a decode step waits for nothing');
      // Nothing is queued behind it: the device has nothing to do until the host has read this.
      const isBlocking = read.nSent === this.nSent;
      const bytes = await read.bytes;
      const missed = this.learn(read, bytes);
      this.time(read, missed, isBlocking);
      if (missed) {
        await this.bring(missed, signal);
        continue;
      }
      const { experts } = this.context;
      if (isBlocking && read.withIds) experts.counts.blockingWaits++;
      else if (isBlocking) experts.count(read.end - 1, 'blockingWaits');
      if (!read.withIds) continue;
      measured.timer.ended();
      this.routes.ended();
      return device.idsIn(bytes, this.program.nRows);
    }
  }

  /** Lets go of what is under way: nothing of this step is submitted from now on, and the device is ready for the next one. */
  abandon(): void {
    this.reads = [];
    this.hold(null);
    this.release();
    this.context.measured.timer.ended();
    this.context.device.clearFault();
  }

  /** The first layer of a read that misses an expert. */
  private learn(read: Read, bytes: ArrayBuffer): Missed | null {
    const { device } = this.context;
    for (let layer = read.first; layer < read.end; layer++) {
      const found = device.routesIn(bytes, read, layer, this.program.nRows);
      const routed = this.routes.note(layer, found);
      this.foresight.check(layer, routed);
      this.foresight.note(layer, found.guess);
      if (routed.some(({ isAbsent }) => isAbsent)) return { layer, routed };
      this.nKnown = layer + 1;
    }
    return null;
  }

  private time({ end, withIds, submittedMs }: Read, missed: Missed | null, isBlocking: boolean): void {
    const { measured, clock } = this.context;
    const nowMs = clock.now();
    // A step's first routing is little work on an idle device: what it takes is the way there and back.
    if (end === 1 && !withIds) measured.latency(nowMs - submittedMs);
    // With the ids comes the head's time, which is no layer's.
    if (!withIds) measured.timer.arrived(missed ? missed.layer + 1 : end, nowMs, isBlocking);
    if (missed) measured.timer.missed();
  }

  /** Brings a layer's experts in and puts the step back to where it needs them. */
  private async bring({ layer, routed }: Missed, signal: AbortSignal | undefined): Promise<void> {
    const { device, experts, clock } = this.context;
    const cut = this.program.cuts.layers[layer]!;
    // What was queued behind the miss has fallen through; its read-backs bring nothing.
    this.reads = [];
    this.hold(null);
    // What needs no experts runs while they come.
    if (this.at < cut.experts && this.schedule.overlap) this.sendRest(layer);
    const startMs = clock.now();
    experts.counts.faultedLayers++;
    experts.count(layer, 'blockingWaits');
    const left = leftOut(routed, experts, this.context.dropBelow);
    // An expert that several rows want is brought once.
    const wanted = new Set(routed.filter((_, i) => !left[i]).map(({ key }) => key));
    this.release = await experts.bring([...wanted], signal);
    experts.count(layer, 'stallMs', clock.now() - startMs);
    // Behind everything that fell through, and before what is submitted next.
    device.clearFault();
    if (left.includes(true)) this.placeWithout(layer, routed, left);
    else this.again = [[cut.route, cut.route + 1]];
    // Layers ahead fell through.
    this.at = Math.min(this.at, cut.experts);
    this.nRouted = layer + 1;
    this.nKnown = layer + 1;
  }

  /** Tells the device where those lie that are not left out: its own look-up would find the others absent again. */
  private placeWithout(layer: number, routed: readonly Routed[], left: readonly boolean[]): void {
    const { device, experts } = this.context;
    for (const [i, { share }] of routed.entries()) {
      if (!left[i]) continue;
      experts.counts.dropped++;
      experts.counts.droppedMass += share;
    }
    device.place(
      layer,
      routed.map(({ key }, i) => (left[i] ? ABSENT : experts.pager.slotOf[key]!)),
      routed.map(({ weight }, i) => (left[i] ? 0 : weight)),
    );
    // It may be wanted again: it comes like a guess, if that harms nobody.
    for (const [i, { key }] of routed.entries()) if (left[i]) experts.guess(key);
  }

  /** Submits what the schedule allows. */
  private submit(): void {
    const { layers, end } = this.program.cuts;
    const { runAhead, group, overlap } = this.schedule;
    while (this.at < end) {
      const next = this.nRouted;
      // The experts of the layer before are submitted with this layer's routing.
      const mayGoOn = next - 1 < this.nKnown + runAhead;
      if (!mayGoOn) {
        if (overlap && next > 0 && this.at < layers[next - 1]!.experts) this.sendRest(next - 1);
        return;
      }
      const upTo = Math.min(next + group, layers.length, this.nKnown + runAhead + 1);
      const toEnd = upTo === layers.length && layers.length - 1 < this.nKnown + runAhead;
      this.send({ first: next, end: upTo, withIds: toEnd });
    }
  }

  /** Submits up to the routing of the read's last layer, or all that is left, and reads back what was chosen. */
  private send(read: ReadOf): void {
    const { device, measured, clock } = this.context;
    const { graph, cuts } = this.program;
    const to = read.withIds ? cuts.end : cuts.layers[read.end - 1]!.routed;
    const pending = device.submit(graph, [...this.again, [this.at, to]], read);
    // Those that keep an expert in its slot are needed until here.
    this.release();
    this.release = () => {};
    this.again = [];
    const bytes = pending.wait();
    // It may be dropped: then nobody waits for it.
    bytes.catch(() => {});
    this.nSent++;
    const submittedMs = clock.now();
    measured.timer.submitted(submittedMs);
    this.reads.push({ ...read, bytes, submittedMs, nSent: this.nSent });
    this.at = to;
    this.nRouted = Math.max(this.nRouted, read.end);
    this.hold(read.withIds ? null : this.nRouted - 1);
  }

  private sendRest(layer: number): void {
    const { experts } = this.program.cuts.layers[layer]!;
    this.context.device.submit(this.program.graph, [[this.at, experts]], null);
    this.nSent++;
    this.at = experts;
  }

  /** A look-up that has run must be true until what goes by it is submitted, whoever else wants slots. */
  private hold(layer: number | null): void {
    const { experts } = this.context;
    if (layer !== null) experts.hold(layer);
    if (this.held !== null) experts.letGo(this.held);
    this.held = layer;
  }
}
