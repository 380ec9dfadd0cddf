/** What a loaded model says of its experts. */
import { type ExpertCache, leastSlots, type Residence } from '../experts/index.ts';
import type { Engine } from '../generate/index.ts';
import type { Clock } from '../host/index.ts';
import { EXPERT_PLACES, type ExpertsReport } from './types.ts';

/** Reports come no faster: a page draws each. */
const REPORT_MS = 100;

/** Keeps the last token's routes and tells a listener what changed, now and then; of the last change always. */
export class ExpertWatch {
  private lastRouted: Uint16Array;
  private toldMs = Number.NEGATIVE_INFINITY;
  private isTelling = false;

  constructor(
    private readonly engine: Engine,
    private readonly experts: ExpertCache,
    private readonly clock: Clock,
    private readonly listener: ((report: ExpertsReport) => void) | undefined,
  ) {
    this.lastRouted = new Uint16Array(0);
    engine.decoder.onRoutes = ({ ids }) => {
      this.lastRouted = ids;
      this.changed();
    };
  }

  /** Something may have moved: called for each token, and for each unit of a prompt. */
  changed(): void {
    if (!this.listener || this.isTelling) return;
    this.isTelling = true;
    const tell = () => {
      this.isTelling = false;
      this.toldMs = this.clock.now();
      this.listener?.(this.report());
    };
    const restMs = this.toldMs + REPORT_MS - this.clock.now();
    if (restMs <= 0) tell();
    else void this.clock.sleep(restMs).then(tell);
  }

  report(): ExpertsReport {
    const { experts, engine } = this;
    const { nLayers, nExperts, nExpertsUsed } = experts.size;
    const { runAhead, group } = engine.schedule.choose(experts.allResident);
    const { latencyMs, layerMs } = engine.schedule;
    const { counts, memory } = experts;
    return {
      nLayers,
      nExperts,
      nExpertsUsed,
      nSlots: experts.slots.nSlots,
      leastSlots: leastOf(experts),
      places: Uint8Array.from({ length: nLayers * nExperts }, (_, key) => placeIndex(experts.residence(key))),
      lastRouted: this.lastRouted.slice(),
      memoryBytes: { used: memory.usedBytes, budget: memory.budgetBytes },
      counts: { ...counts, layers: counts.layers.map((layer) => ({ ...layer })) },
      runAhead,
      group,
      latencyMs,
      layerMs,
    };
  }
}

function leastOf({ slots, size }: ExpertCache): number {
  const least = slots.classes.map(({ layers }) => leastSlots(size.nExpertsUsed, layers.length * size.nExperts));
  return least.reduce((sum, n) => sum + n, 0);
}

function placeIndex(residence: Residence): number {
  return EXPERT_PLACES.indexOf(residence);
}
