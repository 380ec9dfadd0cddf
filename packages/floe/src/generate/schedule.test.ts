import { describe, expect, it } from 'vitest';
import { AdaptiveSchedule } from './schedule.ts';

interface Machine {
  readonly nLayers: number;
  readonly layerMs: number;
  /** From a submission's end to its bytes on the host. */
  readonly latencyMs: number;
  /** Share of a layer that comes behind its routing and needs no experts. */
  readonly hidingShare: number;
  /** Bytes arrive at multiples of it: 0, or what a busy event loop makes of it. */
  readonly tickMs: number;
}

/** When each layer's routes are on the host, if all experts are there: a queue in order, and a host that waits. */
function arrivals({ nLayers, layerMs, latencyMs, hidingShare, tickMs }: Machine, runAhead: number): number[] {
  const arrived: number[] = [];
  let [submittedMs, hiddenUntilMs] = [0, 0];
  for (let layer = 0; layer < nLayers; layer++) {
    submittedMs = Math.max(submittedMs, arrived[layer - 1 - runAhead] ?? 0);
    const routedMs = Math.max(hiddenUntilMs, submittedMs) + (layer > 0 ? (1 - hidingShare) * layerMs : 0);
    hiddenUntilMs = routedMs + hidingShare * layerMs;
    const exactMs = routedMs + latencyMs;
    arrived.push(tickMs > 0 ? Math.ceil(exactMs / tickMs) * tickMs : exactMs);
  }
  return arrived;
}

/** The run-ahead it settles at, its last values. */
function settled(machine: Machine, nTokens = 60): number[] {
  const schedule = new AdaptiveSchedule(machine.nLayers, machine.hidingShare);
  for (let i = 0; i < 3; i++) schedule.latency(machine.latencyMs);
  const chosen: number[] = [];
  for (let token = 0; token < nTokens; token++) {
    const { runAhead } = schedule.choose(false);
    chosen.push(runAhead);
    const times = arrivals(machine, runAhead);
    schedule.latency(times[0]!);
    schedule.layers(times.at(-1)! - times[0]!, times.length - 1);
  }
  return chosen.slice(-10);
}

/** The least that leaves no wait. */
const leastRunAhead = ({ latencyMs, layerMs, hidingShare }: Machine) =>
  Math.max(0, Math.ceil(latencyMs / layerMs - hidingShare));

describe('the run-ahead settles at the least that hides a read-back, or one more', () => {
  const machines: Machine[] = [0.1, 0.5, 0.9, 1.5, 4.4, 7.2].flatMap((latencyMs) =>
    [0, 0.55].flatMap((hidingShare) =>
      [0, 1.7, 3].map((tickMs) => ({ nLayers: 35, layerMs: 1, latencyMs, hidingShare, tickMs })),
    ),
  );
  it.each(machines)('latency $latencyMs layers, hiding $hidingShare, ticks of $tickMs', (machine) => {
    // A tick delays a read-back by half of it in the middle, by all of it at the worst.
    const slowest = { ...machine, latencyMs: machine.latencyMs + machine.tickMs };
    for (const runAhead of settled(machine)) {
      expect(runAhead).toBeGreaterThanOrEqual(leastRunAhead(machine));
      expect(runAhead).toBeLessThanOrEqual(leastRunAhead(slowest) + 1);
    }
  });
});

describe('a schedule', () => {
  it('is one submission where no expert can be missing', () => {
    expect(new AdaptiveSchedule(12, 0.5).choose(true)).toEqual({ runAhead: 12, group: 12, overlap: true });
  });

  it('runs no further ahead than there are layers, and groups at most four', () => {
    const schedule = new AdaptiveSchedule(12, 0);
    schedule.latency(100);
    schedule.layers(10, 10);
    schedule.submit(50);
    expect(schedule.choose(false)).toEqual({ runAhead: 12, group: 4, overlap: true });
  });

  it('is what a caller fixed', () => {
    const schedule = new AdaptiveSchedule(12, 0, { runAhead: 3, group: 2 });
    schedule.latency(100);
    expect(schedule.choose(false)).toEqual({ runAhead: 3, group: 2, overlap: true });
  });
});
