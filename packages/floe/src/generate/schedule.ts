/**
 * How far a decode step runs ahead of what the host knows. One scheduler, two numbers: `runAhead`, layers whose experts
 * are queued before their routes are known (0: routes first; all: one submission), and `group`, layers in a submission.
 */
export interface Schedule {
  readonly runAhead: number;
  readonly group: number;
  /** False: what needs no experts waits for them as well, as in a plain layer-by-layer loop. For comparison. */
  readonly overlap: boolean;
}

/** Samples a median is taken of. */
const WINDOW = 15;
/** Layers in a submission at the most while experts may be missing: a miss is learnt of at its end. */
const MOST_GROUPED = 4;

/** Chooses the schedule from what was measured, and follows it as it moves. */
export class AdaptiveSchedule {
  private readonly latencies: number[] = [];
  private readonly layers: number[] = [];
  private readonly submits: number[] = [];
  private readonly uploads: number[] = [];

  constructor(
    private readonly nLayers: number,
    /** Share of a layer's time that needs no experts and comes behind the routing: it hides a read-back. */
    private readonly hidingShare: number,
    /** What a caller fixed. */
    private readonly fixed: Partial<Schedule> = {},
  ) {}

  /** One read-back of an idle queue: from the submit to the bytes. */
  latency(ms: number): void {
    note(this.latencies, ms);
  }

  /** From one layer's routes to the next one's, on the host: the device's time for a layer, or a wait for the host more. */
  layer(ms: number): void {
    note(this.layers, ms);
  }

  /** The host's own time for one submission. */
  submit(ms: number): void {
    note(this.submits, ms);
  }

  /** An expert copied from memory to its slot: the host's own time. */
  upload(ms: number): void {
    note(this.uploads, ms);
  }

  get uploadMs(): number {
    return median(this.uploads);
  }

  get latencyMs(): number {
    return median(this.latencies);
  }

  /** Of those measured a low one: a schedule that runs too little ahead would take its own waits for the device's work. */
  get layerMs(): number {
    return quantile(this.layers, 1 / 4);
  }

  /** `complete`: no expert can be missing, so nothing is worth waiting for. */
  choose(complete: boolean): Schedule {
    const { nLayers } = this;
    if (complete) return { runAhead: nLayers, group: nLayers, overlap: true };
    const layerMs = this.layerMs || 1;
    const runAhead = Math.max(0, Math.ceil((this.latencyMs - this.hidingShare * layerMs) / layerMs));
    const group = Math.min(MOST_GROUPED, Math.max(1, Math.ceil(median(this.submits) / layerMs)));
    return { runAhead: Math.min(nLayers, runAhead), group, overlap: true, ...this.fixed };
  }
}

function note(values: number[], value: number): void {
  values.push(value);
  if (values.length > WINDOW) values.shift();
}

function median(values: readonly number[]): number {
  return quantile(values, 1 / 2);
}

function quantile(values: readonly number[], share: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length * share)] ?? 0;
}
