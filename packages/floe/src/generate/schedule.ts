/**
 * How far a decode step runs ahead of what the host knows. One scheduler, two numbers: `runAhead`, layers whose experts
 * are queued before their routes are known (0: routes first; all: one submission), and `group`, layers in a submission.
 */
import { LayerTimer } from './layerTimer.ts';

export interface Schedule {
  readonly runAhead: number;
  readonly group: number;
  /** False: what needs no experts waits for them as well, as in a plain layer-by-layer loop. For comparison. */
  readonly overlap: boolean;
}

/** Samples a median is taken of. */
const WINDOW = 15;
/** The same of layers' times, each of which is a mean already. */
const LAYERS_WINDOW = 5;
/** Layers in a submission at the most while experts may be missing: a miss is learnt of at its end. */
const MOST_GROUPED = 4;

/** Latencies vary: one a little longer than the median is to be hidden too. */
const HEADROOM = 1.05;

/** Chooses the schedule from what was measured, and follows it as it moves. */
export class AdaptiveSchedule {
  /** Hears when each layer's routes come. */
  readonly timer = new LayerTimer(
    (ms) => this.layers.note(ms),
    () => this.latencyMs,
  );
  private readonly latencies = new Recent(WINDOW, 1 / 2);
  private readonly layers = new Recent(LAYERS_WINDOW, 1 / 2);
  private readonly submits = new Recent(WINDOW, 1 / 2);
  private readonly uploads = new Recent(WINDOW, 1 / 2);

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

  /** The host's own time for one submission. */
  submit(ms: number): void {
    this.submits.note(ms);
  }

  /** An expert copied from memory to its slot: the host's own time. */
  upload(ms: number): void {
    this.uploads.note(ms);
  }

  get uploadMs(): number {
    return this.uploads.value;
  }

  get latencyMs(): number {
    return this.latencies.value;
  }

  get layerMs(): number {
    return this.layers.value;
  }

  /** `complete`: no expert can be missing, so nothing is worth waiting for. Else the least run-ahead that hides a read-back. */
  choose(complete: boolean): Schedule {
    const { nLayers } = this;
    if (complete) return { runAhead: nLayers, group: nLayers, overlap: true };
    const layerMs = this.layerMs || 1;
    const exposed = (HEADROOM * this.latencyMs) / layerMs - this.hidingShare;
    const runAhead = Math.max(0, Math.floor(exposed) + 1);
    const group = Math.min(MOST_GROUPED, Math.max(1, Math.ceil(this.submits.value / layerMs)));
    return { runAhead: Math.min(nLayers, runAhead), group, overlap: true, ...this.fixed };
  }

  /** Whether a caller said how far to run ahead. */
  get fixesRunAhead(): boolean {
    return this.fixed.runAhead !== undefined;
  }

  /** What a token of which so many layers miss an expert waits beyond the GPU's own time, by the closed form of docs/routing.md. */
  stallMs(runAhead: number, nFaulted: number): number {
    const layerMs = this.layerMs || 1;
    const exposedMs = Math.max(0, this.latencyMs - this.hidingShare * layerMs);
    const unhiddenMs = Math.max(0, exposedMs - runAhead * layerMs) / (runAhead + 1);
    return nFaulted * exposedMs + (this.nLayers - nFaulted) * unhiddenMs;
  }
}

/** A quantile of the last samples. */
class Recent {
  private readonly samples: number[] = [];
  /** Null where a sample has come since it was asked for. */
  private known: number | null = 0;

  constructor(
    private readonly most: number,
    private readonly share: number,
  ) {}

  note(sample: number): void {
    this.samples.push(sample);
    if (this.samples.length > this.most) this.samples.shift();
    this.known = null;
  }

  /** 0 before the first. */
  get value(): number {
    this.known ??= [...this.samples].sort((a, b) => a - b)[Math.floor(this.samples.length * this.share)]!;
    return this.known;
  }
}
