/** Decodes one token: submits its layers as far ahead as the schedule allows, and brings in experts that are missing. */
import { InternalError } from '../errors/index.ts';
import type { ExpertCache } from '../experts/index.ts';
import { type Device, type Graph, type PendingRead, Readback, type ReadPart } from '../gpu/index.ts';
import type { Clock } from '../host/index.ts';
import { ABSENT, NO_FAULT } from '../kernels/index.ts';
import { type Activations, ROUTING_PARTS, type StepCuts } from '../model/index.ts';
import { droppedRanks, sharesOf } from './dropped.ts';
import { Foresight } from './foresight.ts';
import type { AdaptiveSchedule, Schedule } from './schedule.ts';

/** A recorded decode step. */
export interface DecodeProgram {
  readonly graph: Graph;
  readonly cuts: StepCuts;
  /** How many layers later its guesses are for; 0: it makes none. */
  readonly guessAhead: number;
}

/** What one token's routing was, layer by layer in rank order. */
export interface TokenRoutes {
  /** [nLayers · nExpertsUsed]. */
  readonly ids: Uint16Array;
  readonly weights: Float32Array;
}

/** Layers whose routes a read-back brings, and whether it brings the sampled id too. */
interface Read {
  readonly first: number;
  readonly end: number;
  readonly isLast: boolean;
  readonly bytes: Promise<ArrayBuffer>;
  readonly submittedMs: number;
  /** Submissions of the step up to it. */
  readonly nSent: number;
}

/** A read-back on the host: the layers up to `end` are known. */
interface Arrived {
  readonly end: number;
  readonly atMs: number;
}

/** A layer that misses some of the experts it chose. */
interface Missed {
  readonly layer: number;
  readonly keys: number[];
  readonly weights: Float32Array;
}

/** One layer's routes: the experts chosen, whether one was absent, and the guess at a later layer's. */
interface NotedRoutes {
  readonly keys: number[];
  /** Unnormalised, by rank. */
  readonly weights: Float32Array;
  /** Whether each would have been absent but for a guess. */
  readonly routed: readonly { readonly key: number; readonly wasAbsent: boolean }[];
  readonly missing: boolean;
  readonly guess: Uint32Array;
}

/** Bytes of the sampled id behind the routes. */
const ID_BYTES = 4;

export class Decoder {
  private readonly readback: Readback;
  /** Hears of each token's routes. */
  onRoutes: (routes: TokenRoutes) => void = () => {};
  /** Missing experts of a smaller share of the gate's weight are left out; 0: none ever is. */
  dropBelow = 0;

  constructor(
    private readonly device: Device,
    private readonly s: Activations,
    private readonly sampled: GPUBuffer,
    private readonly experts: ExpertCache | null,
    private readonly schedule: AdaptiveSchedule,
    private readonly clock: Clock,
  ) {
    this.readback = new Readback(device, (s.experts?.routing.sizeBytes ?? 0) + ID_BYTES);
  }

  /** Submits a step of which no expert can be missing, whole; `wait` gives the id it picked. */
  submit({ graph, cuts }: DecodeProgram): { readonly wait: () => Promise<number> } {
    const encoder = this.device.gpu.createCommandEncoder();
    graph.encode(encoder);
    const nLayers = cuts.layers.length;
    const pending = this.readback.copyParts(encoder, this.parts(0, nLayers, true));
    this.device.submit(encoder.finish());
    return {
      wait: async () => {
        const bytes = await pending.wait();
        if (this.experts && nLayers > 0) {
          const routes = this.emptyRoutes();
          for (let layer = 0; layer < nLayers; layer++) this.note(routes, bytes, layer, 0);
          this.ended(routes);
          this.experts.counts.blockingWaits++;
        }
        return idOf(bytes);
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
    const step = new Step(this, program, this.schedule.choose(this.experts!.allResident));
    try {
      return await step.run(signal);
    } catch (error) {
      step.abandon();
      this.clearFault();
      throw error;
    }
  }

  /** Measures an idle read-back, so that the first tokens' schedule is no guess. */
  async calibrate(): Promise<void> {
    for (let i = 0; i < 3; i++) {
      const encoder = this.device.gpu.createCommandEncoder();
      const pending = this.readback.copyParts(encoder, [{ source: this.sampled, offset: 0, sizeBytes: ID_BYTES }]);
      const startMs = this.clock.now();
      this.device.submit(encoder.finish());
      await pending.wait();
      this.schedule.latency(this.clock.now() - startMs);
    }
  }

  destroy(): void {
    this.readback.destroy();
  }

  /** Submits ranges of the step, with a read-back of some layers' routes behind them. */
  send(graph: Graph, ranges: readonly (readonly [number, number])[], parts: readonly ReadPart[]): PendingRead | null {
    const startMs = this.clock.now();
    const encoder = this.device.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const [from, to] of ranges) graph.encodePart(pass, from, to);
    pass.end();
    const pending = parts.length > 0 ? this.readback.copyParts(encoder, parts) : null;
    this.device.submit(encoder.finish());
    this.schedule.submit(this.clock.now() - startMs);
    return pending;
  }

  parts(first: number, end: number, withId: boolean): ReadPart[] {
    const routes = this.s.experts;
    const parts: ReadPart[] = [];
    if (routes && end > first) {
      const layerBytes = ROUTING_PARTS * routes.routingPartBytes;
      const sizeBytes = (end - first) * layerBytes;
      parts.push({ source: routes.routing.buffer, offset: first * layerBytes, sizeBytes });
    }
    if (withId) parts.push({ source: this.sampled, offset: 0, sizeBytes: ID_BYTES });
    return parts;
  }

  /** Takes a layer's routes out of a read-back whose first layer is `first`; the keys that were absent. */
  note(routes: TokenRoutes, bytes: ArrayBuffer, layer: number, first: number): NotedRoutes {
    const experts = this.experts!;
    const { nExpertsUsed } = experts.size;
    const { routingPartBytes } = this.s.experts!;
    const at = (part: number) => ((layer - first) * ROUTING_PARTS + part) * routingPartBytes;
    const ids = new Uint32Array(bytes, at(0), nExpertsUsed);
    const weights = new Float32Array(bytes, at(1), nExpertsUsed);
    const slots = new Uint32Array(bytes, at(2), nExpertsUsed);
    const guess = new Uint32Array(bytes, at(3), nExpertsUsed);
    routes.ids.set(ids, layer * nExpertsUsed);
    routes.weights.set(weights, layer * nExpertsUsed);
    const keys = Array.from(ids, (expert) => experts.keyOf(layer, expert));
    const routed = keys.map((key, rank) => {
      const isHit = slots[rank] !== ABSENT;
      const byGuess = experts.routed(layer, key, isHit);
      return { key, wasAbsent: !isHit || byGuess };
    });
    return { keys, weights, routed, missing: slots.includes(ABSENT), guess };
  }

  /**
   * Tells the GPU where a layer's experts lie, where that is not what its look-up would find: those left out have no slot
   * and no weight.
   */
  placeWithout(layer: number, keys: readonly number[], weights: Float32Array, left: readonly boolean[]): void {
    const { pager, counts } = this.cache;
    const { slots, weights: weightsView } = this.s.experts!.stepRoutes[layer]!;
    for (const [rank, share] of sharesOf(weights).entries()) {
      if (!left[rank]) continue;
      counts.dropped++;
      counts.droppedMass += share;
    }
    const placed = Uint32Array.from(keys, (key, rank) => (left[rank] ? ABSENT : pager.slotOf[key]!));
    const weighted = weights.map((weight, rank) => (left[rank] ? 0 : weight));
    this.device.write(slots.buffer, slots.offset, new Uint8Array(placed.buffer));
    this.device.write(weightsView.buffer, weightsView.offset, new Uint8Array(weighted.buffer));
  }

  emptyRoutes(): TokenRoutes {
    const { nLayers, nExpertsUsed } = this.experts!.size;
    const n = nLayers * nExpertsUsed;
    return { ids: new Uint16Array(n), weights: new Float32Array(n) };
  }

  /** A token is done: the policy's clock goes on. */
  ended(routes: TokenRoutes): void {
    this.experts!.token++;
    this.experts!.counts.nTokens++;
    this.onRoutes(routes);
  }

  clearFault(): void {
    this.device.write(this.s.fault.buffer, 0, new Uint8Array(new Uint32Array([NO_FAULT]).buffer));
  }

  get cache(): ExpertCache {
    return this.experts!;
  }

  get time(): Clock {
    return this.clock;
  }

  get measured(): AdaptiveSchedule {
    return this.schedule;
  }
}

/** One token on its way through the layers. */
class Step {
  /** Dispatches submitted, and layers whose routing is among them. */
  private at = 0;
  private nRouted = 0;
  private nSent = 0;
  /** Layers whose experts are known to be there. */
  private nKnown = 0;
  private reads: Read[] = [];
  /** A look-up to be made again, before what comes next. */
  private again: readonly (readonly [number, number])[] = [];
  private readonly routes: TokenRoutes;
  private readonly foresight: Foresight;
  private release: () => void = () => {};
  /** The first and the last read of those that brought no miss. */
  private stretch: { readonly from: Arrived; readonly to: Arrived } | null = null;

  constructor(
    private readonly decoder: Decoder,
    private readonly program: DecodeProgram,
    private readonly schedule: Schedule,
  ) {
    this.routes = decoder.emptyRoutes();
    this.foresight = new Foresight(decoder.cache, decoder.measured, decoder.time, program.guessAhead);
  }

  async run(signal: AbortSignal | undefined): Promise<number> {
    const { decoder } = this;
    const { counts } = decoder.cache;
    for (;;) {
      // Behind what was wanted, before what is submitted next: else the next routing would not find it. The device is
      // busy with what needs no experts, or with layers queued ahead.
      this.foresight.act(this.nRouted - 1);
      this.submit();
      const read = this.reads.shift();
      if (!read) throw new InternalError('a decode step waits for nothing');
      // Nothing is queued behind it: the device has nothing to do until the host has read this.
      const isBlocking = read.nSent === this.nSent;
      const bytes = await read.bytes;
      // A step's first routing is little work on an idle device: what it takes is the way there and back.
      if (read.end === 1 && !read.isLast) decoder.measured.latency(decoder.time.now() - read.submittedMs);
      const atMs = decoder.time.now();
      const missed = this.learn(read, bytes);
      if (isBlocking && !missed) counts.blockingWaits++;
      if (missed || read.isLast) this.endStretch();
      else this.stretch = { from: this.stretch?.from ?? { end: read.end, atMs }, to: { end: read.end, atMs } };
      if (missed) await this.bring(missed, signal);
      if (missed || !read.isLast) continue;
      decoder.ended(this.routes);
      return idOf(bytes);
    }
  }

  /** Lets go of what is under way: nothing of this step is submitted from now on. */
  abandon(): void {
    this.reads = [];
    this.release();
  }

  /** What layers without a miss took is worth knowing. */
  private endStretch(): void {
    if (!this.stretch) return;
    const { from, to } = this.stretch;
    if (to.end > from.end) this.decoder.measured.layers(to.atMs - from.atMs, to.end - from.end);
    this.stretch = null;
  }

  /** The first layer of a read that misses an expert, with all it wants. */
  private learn({ first, end }: Read, bytes: ArrayBuffer): Missed | null {
    for (let layer = first; layer < end; layer++) {
      const { keys, weights, routed, missing, guess } = this.decoder.note(this.routes, bytes, layer, first);
      this.foresight.check(layer, routed);
      this.foresight.note(layer, guess);
      if (missing) return { layer, keys, weights };
      this.nKnown = layer + 1;
    }
    return null;
  }

  /** Brings a layer's experts in and puts the step back to where it needs them. */
  private async bring({ layer, keys, weights }: Missed, signal: AbortSignal | undefined): Promise<void> {
    const { decoder } = this;
    const cut = this.program.cuts.layers[layer]!;
    // What was queued behind the miss has fallen through; its read-backs bring nothing.
    this.reads = [];
    // What needs no experts runs while they come.
    if (this.at < cut.experts && this.schedule.overlap) this.sendRest(layer);
    const startMs = decoder.time.now();
    const { counts } = decoder.cache;
    counts.faultedLayers++;
    counts.blockingWaits++;
    const left = droppedRanks(decoder.cache, keys, weights, decoder.dropBelow);
    this.release = await decoder.cache.bring(
      keys.filter((_, rank) => !left[rank]),
      signal,
    );
    counts.stallMs += decoder.time.now() - startMs;
    // Behind everything that fell through, and before what is submitted next.
    decoder.clearFault();
    if (this.at < cut.experts) this.sendRest(layer);
    if (left.includes(true)) decoder.placeWithout(layer, keys, weights, left);
    else this.again = [[cut.route, cut.route + 1]];
    this.at = cut.experts;
    this.nRouted = layer + 1;
    this.nKnown = layer + 1;
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
      this.send(next, upTo, toEnd);
    }
  }

  /** Submits up to the routing of layer `end` - 1, or all that is left, and reads back what it chose. */
  private send(first: number, end: number, toEnd: boolean): void {
    const { decoder } = this;
    const { graph, cuts } = this.program;
    const to = toEnd ? cuts.end : cuts.layers[end - 1]!.routed;
    const pending = decoder.send(graph, [...this.again, [this.at, to]], decoder.parts(first, end, toEnd))!;
    // Those that keep an expert in its slot are needed until here.
    this.release();
    this.release = () => {};
    this.again = [];
    const bytes = pending.wait();
    // It may be dropped: then nobody waits for it.
    bytes.catch(() => {});
    this.nSent++;
    this.reads.push({ first, end, isLast: toEnd, bytes, submittedMs: decoder.time.now(), nSent: this.nSent });
    this.at = to;
    this.nRouted = Math.max(this.nRouted, end);
  }

  private sendRest(layer: number): void {
    const { experts } = this.program.cuts.layers[layer]!;
    this.decoder.send(this.program.graph, [[this.at, experts]], []);
    this.nSent++;
    this.at = experts;
  }
}

function idOf(bytes: ArrayBuffer): number {
  return new Uint32Array(bytes, bytes.byteLength - ID_BYTES, 1)[0]!;
}
