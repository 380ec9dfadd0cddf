/** For tests of paging without a GPU: what the kernels do, which see table and slots as they are when their submission runs. */
import { ABSENT } from '../kernels/index.ts';
import type { SimulatedChecks } from './simulatedChecks.testing.ts';

/** What one submission put into a layer's routing, and a later one reads: the slots may be others' by then. */
export interface Routing {
  readonly keys: readonly number[];
  readonly slots: readonly number[];
}

export class SimulatedGpu {
  /** Sticky: what is behind a miss falls through until the host clears it. */
  fault = false;
  /** Experts computed, in order. */
  computed: number[] = [];
  private readonly routing: Routing[] = [];

  constructor(
    private readonly checks: SimulatedChecks,
    private readonly broken: (what: string) => never,
  ) {}

  /** A step begins: what an abandoned one still had queued is done by now. */
  begin(): void {
    if (this.fault) this.broken('a step begins behind a fault');
    this.computed = [];
  }

  route(layer: number, keys: readonly number[]): void {
    if (this.fault) return;
    const slots = keys.map((key) => this.checks.slotNow(key));
    this.routing[layer] = { keys, slots };
    this.fault = slots.includes(ABSENT);
  }

  experts(layer: number): void {
    if (this.fault) return;
    const { keys, slots } = this.routing[layer]!;
    for (const [rank, key] of keys.entries()) this.compute(key, slots[rank]!);
  }

  compute(key: number, slot: number): void {
    this.checks.bytes(key, slot, 'now', 'a submission reads');
    this.computed.push(key);
  }

  /** A copy, as a read-back brings it; of a layer that was skipped, what an earlier step left. */
  routed(layer: number): Routing | undefined {
    return this.routing[layer];
  }
}
