/** For tests of paging without a GPU: conversations in a simulated world, with faults, guesses and aborts in them. */
import { FloeError } from '../errors/index.ts';
import type { SimulatedGpu } from './simulatedGpu.testing.ts';
import { SimulatedStep, simulatedPrompt } from './simulatedSession.testing.ts';
import { type Doubles, SimulatedWorld } from './simulatedWorld.testing.ts';

/** What a schedule met, so that a test can tell that it met anything. */
export interface Met {
  steps: number;
  prompts: number;
  failures: number;
  aborts: number;
  hits: number;
  misses: number;
  evictions: number;
  guesses: number;
}

/** Runs the schedule of a seed: so many sessions whose steps interleave. @throws {Error} an invariant broke; names the seed. */
export async function runSchedule(seed: number, doubles?: Doubles, nSessions = 1): Promise<Met> {
  const world = new SimulatedWorld(seed, doubles);
  const faults = new Faults(world);
  const scripts = Array.from({ length: nSessions }, () => new Script(world, faults));
  await world.run(Promise.all(scripts.map((script) => script.run())).then(() => {}));
  const { hits, misses, evictions, guesses } = world.cache.counts;
  const sum = { steps: 0, prompts: 0, failures: 0, aborts: 0 };
  for (const { met } of scripts) for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += met[name];
  return { ...sum, hits, misses, evictions, guesses };
}

/** How often a read fails: not at all while a session tries again what failed. */
class Faults {
  private readonly rate: number;
  private nTrying = 0;

  constructor(private readonly world: SimulatedWorld) {
    this.rate = world.random.pick([0, 0, 0.1, 0.4]);
    world.storage.failing = this.rate;
  }

  async without(work: () => Promise<void>): Promise<void> {
    this.nTrying++;
    this.world.storage.failing = 0;
    try {
      await work();
    } finally {
      if (--this.nTrying === 0) this.world.storage.failing = this.rate;
    }
  }
}

type Work = (signal?: AbortSignal) => Promise<void>;

class Script {
  readonly met = { steps: 0, prompts: 0, failures: 0, aborts: 0 };
  private readonly gpu: SimulatedGpu;
  /** What was guessed of layers that have not chosen yet. */
  private guessed: number[] = [];
  /** What is aborted when some more things have happened: what is under way hears of it then, or is over. */
  private abort: { controller: AbortController | undefined; after: number } | null = null;

  constructor(
    private readonly world: SimulatedWorld,
    private readonly faults: Faults,
  ) {
    this.gpu = world.makeGpu();
    world.onEvent.push(() => {
      if (world.random.uniform() < 0.5) this.guess();
      if (this.abort && this.abort.after-- === 0) this.abort.controller?.abort();
    });
  }

  async run(): Promise<void> {
    const life = new AbortController();
    const fillsMemory = this.world.random.uniform() < 0.3;
    const background = fillsMemory ? this.ends(() => this.world.cache.fillMemory(life.signal), life) : null;
    const conversation = this.converse().finally(() => fillsMemory && life.abort());
    await Promise.all([background, conversation]);
  }

  /** A load, then some steps, each tried again without faults where it failed. */
  private async converse(): Promise<void> {
    const { random, cache, size } = this.world;
    if (random.uniform() < 0.3) await this.ends((signal) => cache.fill(signal));
    const schedule = { runAhead: random.int(0, size.nLayers), group: random.int(1, 3) };
    for (let n = random.int(1, 4); n > 0; n--) {
      const work = this.makeWork(schedule);
      const controller = random.uniform() < 0.1 ? new AbortController() : undefined;
      this.abort = { controller, after: random.int(0, 20) };
      if (await this.ends(work, controller)) continue;
      await this.faults.without(() => work());
    }
  }

  /** A step, a prompt, or experts that nobody needs, in the place of others. */
  private makeWork(schedule: { runAhead: number; group: number }): Work {
    const { world } = this;
    const { random, size } = world;
    const kind = random.uniform();
    if (kind < 0.15) {
      const keys = world.pickExperts(random.int(0, size.nLayers - 1));
      return async (signal) => (await world.bring(keys, signal))();
    }
    if (kind < 0.35) {
      const routes = this.makeRoutes(() => random.int(1, size.nExperts));
      return async (signal) => {
        await simulatedPrompt(world, this.gpu, routes, signal);
        this.met.prompts++;
      };
    }
    const routes = this.makeRoutes(() => size.nExpertsUsed);
    return async (signal) => {
      await new SimulatedStep(world, this.gpu, routes, schedule, (layer) => this.passed(layer)).run(signal);
      this.met.steps++;
    };
  }

  private makeRoutes(nExperts: () => number): number[][] {
    return Array.from({ length: this.world.size.nLayers }, (_, layer) => this.world.pickExperts(layer, nExperts()));
  }

  /** Whether it did what it should; where not, it must have said why, and have had a reason. */
  private async ends(work: Work, controller?: AbortController): Promise<boolean> {
    try {
      await work(controller?.signal);
      return true;
    } catch (error) {
      const isAbort = error instanceof FloeError && error.code === 'request/aborted' && controller?.signal.aborted;
      const isFailure = error instanceof FloeError && this.world.storage.failures.has(error);
      if (!isAbort && !isFailure) throw error;
      if (isAbort) this.met.aborts++;
      else this.met.failures++;
      return false;
    }
  }

  /** Of any layer; whether it comes to a slot or not, it is expected. */
  private guess(): void {
    const { cache, random } = this.world;
    const key = random.int(0, cache.pager.slotOf.length - 1);
    cache.guess(key);
    if (random.uniform() < 0.5) return;
    cache.pager.expect(key, cache.token);
    this.guessed.push(key);
  }

  private passed(layer: number): void {
    const { cache, size } = this.world;
    const isOf = (key: number) => Math.floor(key / size.nExperts) === layer;
    for (const key of this.guessed.filter(isOf)) cache.pager.passed(key);
    this.guessed = this.guessed.filter((key) => !isOf(key));
  }
}
