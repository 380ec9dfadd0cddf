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
const N_READ_BACKS = 7;
const N_UPLOADS = 24;

type Ranges = readonly (readonly [from: number, to: number])[];

/** Measures one stepper's costs, as often as asked: on a shared machine they move. */
export class CostMeter {
  private readonly readback: Readback;
  private key = 0;

  /** @param uploads  A cache with few slots, whose experts all lie in memory: what it is asked for is absent. */
  constructor(
    private readonly device: Device,
    private readonly uploads: ExpertCache,
  ) {
    this.readback = new Readback(device, 16);
  }

  /**
   * @param stepper  One that misses nothing.
   * @param nUploads  Experts a token brings in: as many come while the GPU's own work is timed.
   */
  async measure(stepper: Stepper, nUploads: number): Promise<StepCosts> {
    const { cuts, graph } = stepper.program;
    const nLayers = cuts.layers.length;
    const parts = partsOf(stepper);
    const wholeMs = await this.time(stepper, [[0, cuts.end]], 0);
    const withUploads = await this.time(stepper, [[0, cuts.end]], nUploads);
    const [dense, experts, router] = [
      await this.time(stepper, parts.dense, 0),
      await this.time(stepper, parts.experts, 0),
      await this.time(stepper, parts.router, 0),
    ];
    const outside = await this.time(stepper, parts.outside, 0);
    // Each part as it is while experts are copied beside it; and together they are the whole, of one submission.
    const scale = Math.max(wholeMs.ms, withUploads.ms) / (dense.ms + experts.ms + router.ms + outside.ms);
    const skipped = await this.timeSkipped(stepper, [[0, graph.steps.length]]);
    const { submitMs, readBackMs } = await this.wayToHost(stepper);
    return {
      denseMs: (dense.ms * scale) / nLayers,
      expertsMs: (experts.ms * scale) / nLayers,
      routerMs: (router.ms * scale) / nLayers,
      outsideMs: outside.ms * scale,
      skippedMs: skipped / nLayers,
      submitMs,
      readBackMs,
      uploadMs: withUploads.uploadMs || (await this.time(stepper, [[0, cuts.end]], 8)).uploadMs,
      uploadQueueMs: await this.uploadQueueMs(submitMs + (await this.doneMs())),
      routesFromInput: routesFromInput(stepper.model.plan),
    };
  }

  destroy(): void {
    this.readback.destroy();
  }

  /** Of one copy of `ranges`, and of one of `nUploads` experts that come in meanwhile, for each copy. */
  private async time(stepper: Stepper, ranges: Ranges, nUploads: number): Promise<{ ms: number; uploadMs: number }> {
    const encoder = this.device.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let copy = 0; copy < COPIES; copy++) {
      for (const [from, to] of ranges) stepper.program.graph.encodePart(pass, from, to);
    }
    pass.end();
    const commands = encoder.finish();
    const startMs = performance.now();
    this.device.submit(commands);
    const done = this.device.gpu.queue.onSubmittedWorkDone();
    const n = Math.round(nUploads * COPIES);
    const uploadMs = await this.upload(n);
    await done;
    return { ms: (performance.now() - startMs) / COPIES, uploadMs: n > 0 ? uploadMs / n : 0 };
  }

  /** The same when every kernel falls through. */
  private async timeSkipped(stepper: Stepper, ranges: Ranges): Promise<number> {
    const { fault } = stepper.engine.steps.s;
    const set = (flag: number) => this.device.write(fault.buffer, 0, new Uint8Array(Uint32Array.of(flag).buffer));
    set(0);
    const { ms } = await this.time(stepper, ranges, 0);
    set(NO_FAULT);
    return ms;
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
  private async uploadQueueMs(idleMs: number): Promise<number> {
    await this.upload(N_UPLOADS);
    return Math.max(0, (await this.doneMs()) - idleMs) / N_UPLOADS;
  }

  private async doneMs(): Promise<number> {
    const startMs = performance.now();
    this.device.submit(this.device.gpu.createCommandEncoder().finish());
    await this.device.gpu.queue.onSubmittedWorkDone();
    return performance.now() - startMs;
  }

  /** What the host takes to encode and submit a layer; and an idle device's way back, from a submit to a few bytes. */
  private async wayToHost({ program: { graph, cuts } }: Stepper): Promise<{ submitMs: number; readBackMs: number }> {
    const submits: number[] = [];
    const [first, second] = cuts.layers;
    const reads: number[] = [];
    for (let i = 0; i < N_READ_BACKS; i++) {
      const startMs = performance.now();
      const layer = this.device.gpu.createCommandEncoder();
      const pass = layer.beginComputePass();
      graph.encodePart(pass, first!.routed, second!.routed);
      pass.end();
      this.device.submit(layer.finish());
      submits.push(performance.now() - startMs);
      await this.device.gpu.queue.onSubmittedWorkDone();
      const encoder = this.device.gpu.createCommandEncoder();
      const pending = this.readback.copy(encoder, this.uploads.slots.pageTable.buffer, 0, 16);
      this.device.submit(encoder.finish());
      const submittedMs = performance.now();
      await pending.wait();
      reads.push(performance.now() - submittedMs);
    }
    return { submitMs: median(submits), readBackMs: median(reads) };
  }
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
