/** The times the closed form reckons with, measured on the device at hand, in the very dispatches of a decode step. */
import type { ExpertCache, LayerCosts } from '../packages/floe/src/experts/index.ts';
import { type Device, Readback } from '../packages/floe/src/gpu/index.ts';
import { NO_FAULT } from '../packages/floe/src/kernels/index.ts';
import { routesFromInput } from '../packages/floe/src/model/index.ts';
import type { Stepper } from './pagingStepper.ts';

/** Of a layer, and of what a token takes outside all layers: embedding, head, the choice of the next token. */
export interface StepCosts extends LayerCosts {
  readonly outsideMs: number;
}

/** Tokens' worth of dispatches in a submission that is timed: the way there and back is small beside them. */
const COPIES = 3;
const N_UPLOADS = 24;
/** Where a token brings in none. */
const LEAST_UPLOADS = 8;

type Ranges = readonly (readonly [from: number, to: number])[];

/** What is measured one after the other. */
const PARTS = ['whole', 'loaded', 'dense', 'experts', 'router', 'outside', 'skipped', 'way', 'queue'] as const;
export const N_PARTS = PARTS.length;

/** What a part brought in one measurement. */
interface Sample {
  readonly ms: number;
  /** 'loaded': of bringing one expert; 'way': of submitting a layer. */
  readonly besidesMs: number;
}

/**
 * Measures one stepper's costs, a part at a time, so that it can go on between the tokens whose time it is to explain: on
 * a machine that others share both move from second to second.
 */
export class CostMeter {
  /** Experts a token brings in: as many come while the GPU's own work is timed. */
  nUploads = 0;
  private readonly readback: Readback;
  private readonly samples: Record<(typeof PARTS)[number], Sample[]>;
  private nMeasured = 0;
  private key = 0;

  /**
   * @param uploads  A cache with few slots, whose experts all lie in memory: what it is asked for is absent.
   * @param stepper  One that misses nothing.
   */
  constructor(
    private readonly device: Device,
    private readonly uploads: ExpertCache,
    private readonly stepper: Stepper,
  ) {
    this.readback = new Readback(device, 16);
    this.samples = Object.fromEntries(PARTS.map((part) => [part, []])) as unknown as typeof this.samples;
  }

  /** Measures the next part. */
  async sample(): Promise<void> {
    const part = PARTS[this.nMeasured++ % N_PARTS]!;
    this.samples[part].push(await this.measure(part));
  }

  /** The mean of what was measured since the last call, each part at least once: a token's time too is a sum of many. */
  take(): StepCosts {
    const nLayers = this.stepper.program.cuts.layers.length;
    const costOf = (part: (typeof PARTS)[number], of: 'ms' | 'besidesMs' = 'ms') =>
      mean(this.samples[part].map((sample) => sample[of]));
    const [dense, experts, router, outside] = [
      costOf('dense'),
      costOf('experts'),
      costOf('router'),
      costOf('outside'),
    ] as const;
    // Each part as it is while experts are copied beside it; and together they are the whole, of one submission.
    const scale = Math.max(costOf('whole'), costOf('loaded')) / (dense + experts + router + outside);
    const costs = {
      denseMs: (dense * scale) / nLayers,
      expertsMs: (experts * scale) / nLayers,
      routerMs: (router * scale) / nLayers,
      outsideMs: outside * scale,
      skippedMs: costOf('skipped') / nLayers,
      submitMs: costOf('way', 'besidesMs'),
      readBackMs: costOf('way'),
      uploadMs: costOf('loaded', 'besidesMs'),
      uploadQueueMs: costOf('queue'),
      routesFromInput: routesFromInput(this.stepper.model.plan),
    };
    for (const part of PARTS) this.samples[part].length = 0;
    return costs;
  }

  destroy(): void {
    this.readback.destroy();
  }

  private measure(part: (typeof PARTS)[number]): Promise<Sample> {
    const { cuts, graph } = this.stepper.program;
    const whole: Ranges = [[0, cuts.end]];
    switch (part) {
      case 'whole':
        return this.time(whole);
      case 'loaded':
        return this.timeLoaded(whole);
      case 'skipped':
        return this.timeSkipped([[0, graph.steps.length]]);
      case 'way':
        return this.wayToHost();
      case 'queue':
        return this.uploadQueue();
      default:
        return this.time(partsOf(this.stepper)[part]);
    }
  }

  /** Of one copy of `ranges`, while `beside` is done. */
  private async time(ranges: Ranges, beside: () => Promise<void> = async () => undefined): Promise<Sample> {
    const { graph } = this.stepper.program;
    const encoder = this.device.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let copy = 0; copy < COPIES; copy++) {
      for (const [from, to] of ranges) graph.encodePart(pass, from, to);
    }
    pass.end();
    const commands = encoder.finish();
    const startMs = performance.now();
    this.device.submit(commands);
    const done = this.device.gpu.queue.onSubmittedWorkDone();
    await beside();
    await done;
    return { ms: (performance.now() - startMs) / COPIES, besidesMs: 0 };
  }

  /** The same while as many experts come in as each copy would bring; and one of them. */
  private async timeLoaded(ranges: Ranges): Promise<Sample> {
    const n = Math.round(this.nUploads * COPIES);
    let uploadsMs = n > 0 ? 0 : await this.upload(LEAST_UPLOADS);
    const { ms } = await this.time(ranges, async () => {
      if (n > 0) uploadsMs = await this.upload(n);
    });
    return { ms, besidesMs: uploadsMs / (n || LEAST_UPLOADS) };
  }

  /** The same when every kernel falls through. */
  private async timeSkipped(ranges: Ranges): Promise<Sample> {
    const { fault } = this.stepper.engine.steps.s;
    const set = (flag: number) => this.device.write(fault.buffer, 0, new Uint8Array(Uint32Array.of(flag).buffer));
    set(0);
    const sample = await this.time(ranges);
    set(NO_FAULT);
    return sample;
  }

  /** Brings in experts that are absent, one after the other; how long the host took. */
  private async upload(n: number): Promise<number> {
    const startMs = performance.now();
    for (let i = 0; i < n; i++) {
      do this.key = (this.key + 1) % this.uploads.pager.slotOf.length;
      while (this.uploads.pager.isNamed(this.key));
      (await this.uploads.bring([this.key]))();
    }
    return performance.now() - startMs;
  }

  /** What an upload takes of the queue's own time: a submission behind many does not end before they are copied. */
  private async uploadQueue(): Promise<Sample> {
    const idleMs = await this.doneMs();
    await this.upload(N_UPLOADS);
    return { ms: Math.max(0, (await this.doneMs()) - idleMs) / N_UPLOADS, besidesMs: 0 };
  }

  private async doneMs(): Promise<number> {
    const startMs = performance.now();
    this.device.submit(this.device.gpu.createCommandEncoder().finish());
    await this.device.gpu.queue.onSubmittedWorkDone();
    return performance.now() - startMs;
  }

  /**
   * The way from a submission's last dispatch to its bytes on the host: what a token takes longer layer by layer, each read
   * back before the next is encoded, than in one submission. An idle device's would say too little: it has nothing to
   * finish, and its threads are awake. Besides: the host's time to encode and submit a layer.
   */
  private async wayToHost(): Promise<Sample> {
    const { layers, end } = this.stepper.program.cuts;
    const cuts = [0, ...layers.map(({ routed }) => routed), end];
    const submits: number[] = [];
    const run = async (from: number, to: number) => {
      const startMs = performance.now();
      const encoder = this.device.gpu.createCommandEncoder();
      const pass = encoder.beginComputePass();
      this.stepper.program.graph.encodePart(pass, from, to);
      pass.end();
      const pending = this.readback.copy(encoder, this.uploads.slots.pageTable.buffer, 0, 16);
      this.device.submit(encoder.finish());
      submits.push(performance.now() - startMs);
      await pending.wait();
      return performance.now() - startMs;
    };
    const atOnceMs = await run(0, end);
    submits.length = 0;
    let byLayerMs = 0;
    for (const [i, to] of cuts.slice(1).entries()) byLayerMs += await run(cuts[i]!, to);
    return { ms: Math.max(0, byLayerMs - atOnceMs) / layers.length, besidesMs: median(submits) };
  }
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** The dispatches of a step, by what they are for. */
function partsOf({ program: { graph, cuts } }: Stepper): Record<'dense' | 'experts' | 'router' | 'outside', Ranges> {
  const parts = { dense: [], experts: [], router: [], outside: [] } as Record<string, [number, number][]>;
  // The embedding comes before the first layer's routing.
  let at = 1;
  parts.outside!.push([0, at]);
  for (const { routed, experts } of cuts.layers) {
    const end = graph.steps.findIndex(({ name }, i) => i >= experts && name === 'combine') + 1;
    parts.router!.push([at, routed]);
    parts.dense!.push([routed, experts]);
    parts.experts!.push([experts, end]);
    at = end;
  }
  parts.outside!.push([at, cuts.end]);
  return parts as Record<'dense' | 'experts' | 'router' | 'outside', Ranges>;
}
