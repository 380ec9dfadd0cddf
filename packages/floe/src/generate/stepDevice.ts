/** What a decode step asks of the device: ranges of its dispatches submitted, and routes read back. */
import { type Device, type Graph, type PendingRead, Readback } from '../gpu/index.ts';
import type { Clock } from '../host/index.ts';
import { NO_FAULT } from '../kernels/index.ts';
import { type Activations, ROUTING_PARTS } from '../model/index.ts';
import type { AdaptiveSchedule } from './schedule.ts';

/** Dispatches from one to before another. */
export type Range = readonly [from: number, to: number];

/** Layers whose routes are read back, and whether the id that was picked is too. */
export interface ReadOf {
  readonly first: number;
  readonly end: number;
  readonly withId: boolean;
}

/** One layer's choice for one token, by rank. */
export interface LayerRoutes {
  readonly ids: Uint32Array;
  readonly weights: Float32Array;
  /** ABSENT where the page table named none. */
  readonly slots: Uint32Array;
  /** Ids that a later layer's router would choose now. */
  readonly guess: Uint32Array;
}

/** Bytes of the picked id, behind the routes. */
const ID_BYTES = 4;

export class StepDevice {
  private readonly readback: Readback;

  constructor(
    private readonly device: Device,
    private readonly s: Activations,
    private readonly sampled: GPUBuffer,
    private readonly schedule: AdaptiveSchedule,
    private readonly clock: Clock,
  ) {
    this.readback = new Readback(device, (s.experts?.routing.sizeBytes ?? 0) + ID_BYTES);
  }

  /** Submits ranges of a step in one pass, and a read-back behind them. */
  submit(graph: Graph, ranges: readonly Range[], read: ReadOf): PendingRead;
  submit(graph: Graph, ranges: readonly Range[], read: null): null;
  submit(graph: Graph, ranges: readonly Range[], read: ReadOf | null): PendingRead | null {
    const startMs = this.clock.now();
    const encoder = this.device.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const [from, to] of ranges) graph.encodePart(pass, from, to);
    pass.end();
    const pending = read ? this.copy(encoder, read) : null;
    this.device.submit(encoder.finish());
    this.schedule.submit(this.clock.now() - startMs);
    return pending;
  }

  /** Submissions to the device until now, by whomever. */
  get nSubmitted(): number {
    return this.device.counts.submits;
  }

  /** Submits all of a step. */
  submitWhole(graph: Graph, read: ReadOf): PendingRead {
    const encoder = this.device.gpu.createCommandEncoder();
    graph.encode(encoder);
    const pending = this.copy(encoder, read);
    this.device.submit(encoder.finish());
    return pending;
  }

  /** Milliseconds of a read-back of an idle queue. */
  async timeReadback(): Promise<number> {
    const encoder = this.device.gpu.createCommandEncoder();
    const pending = this.copy(encoder, { first: 0, end: 0, withId: true });
    const startMs = this.clock.now();
    this.device.submit(encoder.finish());
    await pending.wait();
    return this.clock.now() - startMs;
  }

  /** A layer's routes out of what a read of `of` brought. */
  routesIn(bytes: ArrayBuffer, of: ReadOf, layer: number, nExpertsUsed: number): LayerRoutes {
    const { routingPartBytes } = this.s.experts!;
    const at = (part: number) => ((layer - of.first) * ROUTING_PARTS + part) * routingPartBytes;
    return {
      ids: new Uint32Array(bytes, at(0), nExpertsUsed),
      weights: new Float32Array(bytes, at(1), nExpertsUsed),
      slots: new Uint32Array(bytes, at(2), nExpertsUsed),
      guess: new Uint32Array(bytes, at(3), nExpertsUsed),
    };
  }

  idIn(bytes: ArrayBuffer): number {
    return new Uint32Array(bytes, bytes.byteLength - ID_BYTES, 1)[0]!;
  }

  /** Says where a layer's chosen experts lie and what they weigh, in the place of what its routing found; by rank. */
  place(layer: number, slotsByRank: readonly number[], weightsByRank: readonly number[]): void {
    const { slots, weights } = this.s.experts!.stepRoutes[layer]!;
    this.device.write(slots.buffer, slots.offset, new Uint8Array(Uint32Array.from(slotsByRank).buffer));
    this.device.write(weights.buffer, weights.offset, new Uint8Array(Float32Array.from(weightsByRank).buffer));
  }

  /** What is submitted from now on runs again. */
  clearFault(): void {
    this.device.write(this.s.fault.buffer, 0, new Uint8Array(new Uint32Array([NO_FAULT]).buffer));
  }

  destroy(): void {
    this.readback.destroy();
  }

  private copy(encoder: GPUCommandEncoder, { first, end, withId }: ReadOf): PendingRead {
    const { experts: routes } = this.s;
    const parts = [];
    if (routes && end > first) {
      const layerBytes = ROUTING_PARTS * routes.routingPartBytes;
      parts.push({ source: routes.routing.buffer, offset: first * layerBytes, sizeBytes: (end - first) * layerBytes });
    }
    if (withId) parts.push({ source: this.sampled, offset: 0, sizeBytes: ID_BYTES });
    return this.readback.copyParts(encoder, parts);
  }
}
