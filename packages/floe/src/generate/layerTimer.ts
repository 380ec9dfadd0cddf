/**
 * Takes a layer's time from when submissions are made and when the routes of their layers come to the host. Reads that were
 * delayed come in bursts, so the time from one to the next says nothing; and between two of them the device may have waited
 * for the host. So what is timed is a stretch in which the device had work, from its first submission to its last read,
 * less the way there and back, and stretches are added up until they are of enough layers.
 */
export class LayerTimer {
  private stretch: Stretch | null = null;
  private isFresh = true;
  private nKnown = 0;
  private sumMs = 0;
  private nLayers = 0;

  constructor(
    /** Told of a layer's mean time, whenever it is known of so many more. */
    private readonly onTimed: (layerMs: number) => void,
    /** Of a read-back of an idle queue. */
    private readonly latencyMs: () => number,
    private readonly enough = ENOUGH_LAYERS,
  ) {}

  /** Something is submitted that routes are read from. */
  submitted(atMs: number): void {
    this.stretch ??= { startMs: atMs, startEnd: this.nKnown, isTimed: this.isFresh, end: 0, endMs: 0 };
  }

  /** The routes of layers up to `end` came; `isLast`: of all that is submitted. */
  arrived(end: number, atMs: number, isLast: boolean): void {
    this.nKnown = end;
    const { stretch } = this;
    if (!stretch) return;
    // What a load put on the queue is no layer's work: behind one, time counts from the first read.
    if (!stretch.isTimed) Object.assign(stretch, { startMs: atMs - this.latencyMs(), startEnd: end, isTimed: true });
    // Before a token's first routes comes no layer's work.
    if (stretch.startEnd === 0) stretch.startEnd = end;
    Object.assign(stretch, { end, endMs: atMs });
    if (isLast) this.close(true);
  }

  /** A token has ended, or is given up. */
  ended(): void {
    this.close(true);
    this.nKnown = 0;
  }

  /** An expert is missing: what comes next follows a load. */
  missed(): void {
    this.close(false);
  }

  private close(isFresh: boolean): void {
    const { stretch } = this;
    this.stretch = null;
    this.isFresh = isFresh;
    if (!stretch || stretch.end <= stretch.startEnd) return;
    this.sumMs += stretch.endMs - stretch.startMs - this.latencyMs();
    this.nLayers += stretch.end - stretch.startEnd;
    if (this.nLayers < this.enough) return;
    // Not below what no device is faster than in this measure.
    this.onTimed(Math.max(this.sumMs / this.nLayers, this.latencyMs() / MOST_IN_A_LATENCY));
    this.sumMs = 0;
    this.nLayers = 0;
  }
}

/** The device has work without a gap. */
interface Stretch {
  startMs: number;
  /** Layers known when it began. */
  startEnd: number;
  isTimed: boolean;
  end: number;
  endMs: number;
}

/** A burst of a few layers is a small part of them. */
const ENOUGH_LAYERS = 32;
const MOST_IN_A_LATENCY = 64;
