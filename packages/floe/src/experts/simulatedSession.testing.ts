/** For tests of paging without a GPU: the submissions of a decode step and of a prompt, as generate/ makes them. */
import { throwIfAborted } from '../errors/index.ts';
import { ABSENT } from '../kernels/index.ts';
import type { Routing, SimulatedGpu } from './simulatedGpu.testing.ts';
import type { SimulatedWorld } from './simulatedWorld.testing.ts';

/** How a decode step is submitted; as in generate/schedule.ts. */
export interface SimulatedSchedule {
  readonly runAhead: number;
  readonly group: number;
}

interface Read {
  readonly first: number;
  readonly end: number;
  readonly isLast: boolean;
  readonly routings: Promise<readonly (Routing | undefined)[]>;
}

/** One token through the layers. Its stages are routing and experts of each layer in turn: 2 · layer, 2 · layer + 1. */
export class SimulatedStep {
  private at = 0;
  private nRouted = 0;
  private nKnown = 0;
  private reads: Read[] = [];
  private again: number | null = null;
  private held: number | null = null;
  private release = () => {};

  constructor(
    private readonly world: SimulatedWorld,
    private readonly gpu: SimulatedGpu,
    /** [nLayers] keys of the experts that each layer's router picks. */
    private readonly routes: readonly (readonly number[])[],
    private readonly schedule: SimulatedSchedule,
    /** Hears of each layer that has chosen. */
    private readonly onPassed: (layer: number) => void = () => {},
  ) {}

  /** @throws {FloeError} what bringing an expert in throws. */
  async run(signal?: AbortSignal): Promise<void> {
    const { world } = this;
    void world.submit(() => this.gpu.begin());
    try {
      while (await this.goOn(signal)) {}
    } catch (error) {
      this.hold(null);
      this.release();
      this.clearFault();
      throw error;
    }
    world.cache.token++;
    const computed = this.gpu.computed.join();
    if (computed !== this.routes.flat().join()) world.broken(`computed experts ${computed} for ${this.routes.flat()}`);
  }

  /** False at the end. */
  private async goOn(signal: AbortSignal | undefined): Promise<boolean> {
    this.submit();
    const read = this.reads.shift() ?? this.world.broken('a step waits for nothing');
    const routings = await read.routings;
    for (let layer = read.first; layer < read.end; layer++) {
      const routing = routings[layer - read.first];
      if (!routing || routing.keys !== this.routes[layer])
        return this.world.broken(`layer ${layer} of another step is believed`);
      for (const [rank, key] of routing.keys.entries())
        this.world.cache.routed(layer, key, routing.slots[rank] !== ABSENT);
      this.onPassed(layer);
      if (routing.slots.includes(ABSENT)) {
        await this.bring(layer, signal);
        return true;
      }
      this.nKnown = layer + 1;
    }
    return !read.isLast;
  }

  private async bring(layer: number, signal: AbortSignal | undefined): Promise<void> {
    this.reads = [];
    this.hold(null);
    this.release = await this.world.bring(this.routes[layer]!, signal);
    this.clearFault();
    this.again = layer;
    this.at = 2 * layer + 1;
    this.nRouted = layer + 1;
    this.nKnown = layer + 1;
  }

  /** Behind everything that fell through, and before what is submitted next. */
  private clearFault(): void {
    void this.world.submit(() => {
      this.gpu.fault = false;
    });
  }

  private submit(): void {
    const { runAhead, group } = this.schedule;
    const nLayers = this.routes.length;
    while (this.at < 2 * nLayers && this.nRouted - 1 < this.nKnown + runAhead) {
      const upTo = Math.min(this.nRouted + group, nLayers, this.nKnown + runAhead + 1);
      this.send(upTo, upTo === nLayers && nLayers - 1 < this.nKnown + runAhead);
    }
  }

  private send(upTo: number, isLast: boolean): void {
    const { gpu } = this;
    const to = isLast ? 2 * this.routes.length : 2 * upTo - 1;
    const [again, at, first] = [this.again, this.at, this.nRouted];
    const routings = this.world.submit(() => {
      if (again !== null) gpu.route(again, this.routes[again]!);
      for (let stage = at; stage < to; stage++) {
        const layer = stage >> 1;
        if (stage % 2 === 0) gpu.route(layer, this.routes[layer]!);
        else gpu.experts(layer);
      }
      return this.routes.slice(first, upTo).map((_, i) => gpu.routed(first + i));
    });
    this.release();
    this.release = () => {};
    this.again = null;
    this.reads.push({ first, end: upTo, isLast, routings });
    this.at = to;
    this.nRouted = Math.max(this.nRouted, upTo);
    // Routed, and what reads its experts comes with the next one's routing.
    this.hold(isLast ? null : this.nRouted - 1);
  }

  private hold(layer: number | null): void {
    const { cache } = this.world;
    if (layer !== null) cache.hold(layer);
    if (this.held !== null) cache.letGo(this.held);
    this.held = layer;
  }
}

/**
 * A prompt, layer by layer: those of its experts that have slots at once, the others in waves. A wave has a table of its
 * own, made by the host; so it needs no routing, only that its experts stay until it is submitted.
 */
export async function simulatedPrompt(
  world: SimulatedWorld,
  gpu: SimulatedGpu,
  routes: readonly (readonly number[])[],
  signal?: AbortSignal,
): Promise<void> {
  const { cache } = world;
  void world.submit(() => gpu.begin());
  for (const [layer, chosen] of routes.entries()) {
    const keys = await world.submit(() => chosen);
    for (const key of keys) cache.routed(layer, key, cache.pager.isNamed(key), 1);
    for (const wave of wavesOf(world, layer, keys)) {
      throwIfAborted(signal);
      const release = await world.bring(wave, signal);
      const row = wave.map((key) => cache.pager.slotOf[key]!);
      void world.submit(() => {
        for (const [i, key] of wave.entries()) gpu.compute(key, row[i]!);
      });
      release();
    }
  }
  cache.token++;
  const computed = await world.submit(() => gpu.computed.toSorted((a, b) => a - b).join());
  const wanted = routes
    .flat()
    .toSorted((a, b) => a - b)
    .join();
  if (computed !== wanted) world.broken(`a prompt computed experts ${computed} for ${wanted}`);
}

/** As in generate/prompt.ts. */
function wavesOf({ cache: { pager } }: SimulatedWorld, layer: number, keys: readonly number[]): number[][] {
  const here = keys.filter((key) => pager.isNamed(key));
  const coming = keys.filter((key) => !pager.isNamed(key));
  const size = Math.max(1, Math.floor(pager.nSlots(layer) / 2));
  const waves = here.length > 0 ? [here] : [];
  for (let i = 0; i < coming.length; i += size) waves.push(coming.slice(i, i + size));
  return waves;
}
