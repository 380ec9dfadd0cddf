/** The schedule comes to what is right from what it hears, however reads are delayed; on a device and a host that are reckoned. */
import { seeded } from '@floe/testkit/seeded';
import { describe, expect, it } from 'vitest';
import { LayerTimer } from './layerTimer.ts';
import { AdaptiveSchedule } from './schedule.ts';

interface Machine {
  readonly nLayers: number;
  readonly layerMs: number;
  /** Behind the end of a submission, its read is ready. */
  readonly latencyMs: number;
  /** The host hears of reads at multiples of this: those that were ready since come together. 0: at once. */
  readonly tickMs: number;
  /** Every so many layers an expert is missing; 0: never. */
  readonly missEvery: number;
}

/** Decodes `nTokens`; how far each ran ahead. Layers one by one, as generate/step.ts submits them. */
function decode(machine: Machine, schedule: AdaptiveSchedule, nTokens: number): number[] {
  const { nLayers, layerMs, latencyMs, tickMs, missEvery } = machine;
  const random = seeded('delays');
  const heard = (ms: number) => (tickMs === 0 ? ms : Math.ceil(ms / tickMs) * tickMs);
  const depths: number[] = [];
  let nowMs = 0;
  let nRouted = 0;
  for (let token = 0; token < nTokens; token++) {
    const { runAhead } = schedule.choose(false);
    depths.push(runAhead);
    const arrivals: number[] = [];
    let [freeMs, nKnown, nSent] = [nowMs, 0, 0];
    const startMs = nowMs;
    while (nKnown < nLayers) {
      for (; nSent < nLayers && nSent - 1 < nKnown + runAhead; nSent++) {
        // The first routing is no layer's work yet.
        freeMs = Math.max(freeMs, nowMs) + (nSent === 0 ? 0 : layerMs);
        arrivals[nSent] = heard(freeMs + latencyMs * (0.9 + 0.2 * random.uniform()));
        schedule.timer.submitted(nowMs);
      }
      nowMs = Math.max(nowMs, arrivals[nKnown]!);
      if (nKnown === 0) schedule.latency(nowMs - startMs);
      nKnown++;
      schedule.timer.arrived(nKnown, nowMs, nKnown === nSent);
      nRouted++;
      if (missEvery === 0 || nRouted % missEvery > 0) continue;
      // What was queued behind the miss falls through.
      schedule.timer.missed();
      nSent = nKnown;
      nowMs += 0.4;
      freeMs = nowMs;
    }
    schedule.timer.ended();
    // A token begins somewhere between two ticks.
    nowMs += latencyMs + random.uniform() * (1 + tickMs);
  }
  return depths;
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;

describe('run-ahead', () => {
  const base = { nLayers: 35, layerMs: 1.2, latencyMs: 5, tickMs: 0, missEvery: 0 };
  it.each<Partial<Machine> & { what: string; least: number; most: number }>([
    { what: 'reads come at once', least: 5, most: 5 },
    { what: 'each fifth layer misses', missEvery: 5, least: 4, most: 6 },
    { what: 'reads come in bursts of 1 ms', tickMs: 1, least: 5, most: 6 },
    { what: 'reads come in bursts of 4 ms', tickMs: 4, least: 4, most: 8 },
    { what: 'layers are short', layerMs: 0.4, tickMs: 1, least: 13, most: 16 },
    { what: 'layers are short, and each third misses', layerMs: 0.4, tickMs: 1, missEvery: 3, least: 13, most: 17 },
    { what: 'bursts are longer than the way', tickMs: 8, latencyMs: 1, least: 1, most: 7 },
    { what: 'bursts, and each third layer misses', tickMs: 4, missEvery: 3, least: 3, most: 8 },
    { what: 'there are few layers', nLayers: 6, tickMs: 2, least: 4, most: 6 },
    { what: 'the way is short', latencyMs: 0.3, least: 1, most: 1 },
    { what: 'layers are long', layerMs: 20, tickMs: 4, least: 1, most: 1 },
  ])('is right where $what', ({ what: _, least, most, ...own }) => {
    const machine = { ...base, ...own };
    const depths = decode(machine, new AdaptiveSchedule(machine.nLayers, 0), 120).slice(60);
    expect(mean(depths)).toBeGreaterThanOrEqual(least);
    expect(mean(depths)).toBeLessThanOrEqual(most);
  });

  it('is as deep as a caller fixed it', () => {
    const depths = decode(base, new AdaptiveSchedule(35, 0, { runAhead: 2 }), 3);
    expect(depths).toEqual([2, 2, 2]);
  });

  it('is less where a layer hides a part of the way, and none where it hides all', () => {
    expect(decode(base, new AdaptiveSchedule(35, 0.9), 60).at(-1)).toBe(4);
    const short = { ...base, latencyMs: 0.3 };
    expect(decode(short, new AdaptiveSchedule(35, 0.9), 60).at(-1)).toBe(0);
  });

  it('comes back from a pause of an hour within some tokens', () => {
    const schedule = new AdaptiveSchedule(35, 0);
    decode(base, schedule, 20);
    decode({ ...base, layerMs: 100_000 }, schedule, 1);
    expect(decode(base, schedule, 10).at(-1)).toBeGreaterThanOrEqual(4);
  });
});

describe('a layer’s time', () => {
  const timed = (events: (timer: LayerTimer) => void): number[] => {
    const heard: number[] = [];
    const timer = new LayerTimer(
      (ms) => heard.push(ms),
      () => 5,
      4,
    );
    events(timer);
    return heard;
  };

  it('is that of all layers of a stretch, though their reads come together', () => {
    // Five layers of 2 ms behind the first routing, and 5 ms of way: all are heard of at once.
    const heard = timed((timer) => {
      for (let end = 1; end <= 6; end++) timer.submitted(end);
      for (let end = 1; end <= 6; end++) timer.arrived(end, 1 + 5 * 2 + 5, end === 6);
    });
    expect(heard).toEqual([2]);
  });

  it('control: from one of these reads to the next it would be none', () => {
    const heard = timed((timer) => {
      timer.missed();
      for (let end = 1; end <= 6; end++) timer.submitted(end);
      for (let end = 1; end <= 6; end++) timer.arrived(end, 16, end === 6);
    });
    expect(heard).toEqual([5 / 64]);
  });

  it('leaves out while the device waits for the host, and what a load put before a layer', () => {
    const heard = timed((timer) => {
      timer.submitted(0);
      timer.arrived(1, 5, true);
      // Half a second later.
      timer.submitted(500);
      timer.arrived(2, 508, false);
      timer.arrived(3, 511, true);
      timer.missed();
      // The load is on the queue before it.
      timer.submitted(600);
      timer.arrived(4, 700, false);
      timer.arrived(6, 706, true);
    });
    // 6 ms of two layers, 6 of two more.
    expect(heard).toEqual([3]);
  });
});

describe('a schedule', () => {
  it('is one submission where no expert can be missing', () => {
    expect(new AdaptiveSchedule(12, 0.5).choose(true)).toEqual({ runAhead: 12, group: 12, overlap: true });
  });

  it('runs no further ahead than there are layers, and groups at most four', () => {
    const schedule = new AdaptiveSchedule(12, 0);
    schedule.latency(100);
    schedule.submit(50);
    expect(schedule.choose(false)).toEqual({ runAhead: 12, group: 4, overlap: true });
  });

  it('is what a caller fixed', () => {
    const schedule = new AdaptiveSchedule(12, 0, { runAhead: 3, group: 2 });
    schedule.latency(100);
    expect(schedule.choose(false)).toEqual({ runAhead: 3, group: 2, overlap: true });
  });
});
