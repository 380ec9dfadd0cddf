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

/** Layers in a submission at the most while experts may be missing: a miss is learnt of at its end. */
const MOST_GROUPED = 4;
/** Latencies vary: one a little longer than the median is to be hidden too. */
const HEADROOM = 1.05;

/** Chooses the schedule from what was measured, and follows it as it moves. */
export class AdaptiveSchedule {
  private readonly latencies = new Window();
  private readonly layerTimes = new Window();
  private readonly submits = new Window();
  private readonly uploads = new Window();

  constructor(
    private readonly nLayers: number,
    /** Share of a layer's time that needs no experts and comes behind the routing: it hides a read-back. */
    private readonly hidingShare: number,
    /** What a caller fixed. */
    private readonly fixed: Partial<Schedule> = {},
  ) {}

  /** One read-back of an idle queue: from the submit to the bytes. */
  latency(ms: number): void {
    this.latencies.note(ms);
  }

  /**
   * `nLayers` layers without a miss took so long, by the arrival of their routes on the host: the device's time, or waits
   * for the host more. Of as many as there were, never of each: read-backs arrive in bursts, most of them right behind
   * another.
   */
  layers(ms: number, nLayers: number): void {
    this.layerTimes.note(ms / nLayers);
  }

  /** The host's own time for one submission. */
  submit(ms: number): void {
    this.submits.note(ms);
  }

  /** An expert copied from memory to its slot: the host's own time. */
  upload(ms: number): void {
    this.uploads.note(ms);
  }

  get uploadMs(): number {
    return this.uploads.quantile(1 / 2);
  }

  get latencyMs(): number {
    return this.latencies.quantile(1 / 2);
  }

  /** Of those measured a low one: a schedule that runs too little ahead would take its own waits for the device's work. */
  get layerMs(): number {
    return this.layerTimes.quantile(1 / 4);
  }

  /**
   * `complete`: no expert can be missing, so nothing is worth waiting for. Else the least run-ahead that hides a read-back:
   * while it is too little, a layer seems to take just as long as it would hide, so that the next whole number is one more.
   */
  choose(complete: boolean): Schedule {
    const { nLayers } = this;
    if (complete) return { runAhead: nLayers, group: nLayers, overlap: true };
    const layerMs = this.layerMs || 1;
    const exposed = (HEADROOM * this.latencyMs) / layerMs - this.hidingShare;
    const runAhead = Math.max(0, Math.floor(exposed) + 1);
    const group = Math.min(MOST_GROUPED, Math.max(1, Math.ceil(this.submits.quantile(1 / 2) / layerMs)));
    return { runAhead: Math.min(nLayers, runAhead), group, overlap: true, ...this.fixed };
  }
}

/** The last few samples of a quantity, in order too. */
class Window {
  private readonly samples: number[] = [];
  private sorted: readonly number[] | null = null;

  constructor(private readonly mostSamples = 15) {}

  note(sample: number): void {
    this.samples.push(sample);
    if (this.samples.length > this.mostSamples) this.samples.shift();
    this.sorted = null;
  }

  /** The sample below which `share` of them lie; 0 where there is none. */
  quantile(share: number): number {
    this.sorted ??= [...this.samples].sort((a, b) => a - b);
    return this.sorted[Math.floor(this.sorted.length * share)] ?? 0;
  }
}
