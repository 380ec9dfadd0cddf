/** What a decode step asks of the device: ranges of its dispatches submitted, and routes read back. */
import { type Device, type Graph, type PendingRead, Readback } from '../gpu/index.ts';
import type { Clock } from '../host/index.ts';
import { NO_FAULT } from '../kernels/index.ts';
import { ROUTING_PARTS, STEP_ROWS, type StepActivations } from '../model/index.ts';
import type { AdaptiveSchedule } from './schedule.ts';

/** Dispatches from one to before another. */
export type Range = readonly [from: number, to: number];

/** Layers whose routes are read back, and whether the ids that were picked are too. */
export interface ReadOf {
  readonly first: number;
  readonly end: number;
  readonly withIds: boolean;
}

/** One layer's choice for a step's rows [R, k], each by rank. */
export interface LayerRoutes {
  readonly ids: Uint32Array;
  readonly weights: Float32Array;
  /** ABSENT where the page table named none. */
  readonly slots: Uint32Array;
  /** Ids that a later layer's router would choose now. */
  readonly guess: Uint32Array;
}

/** Bytes of the picked ids, behind the routes: of all rows there may be. */
const IDS_BYTES = STEP_ROWS * 4;

export class StepDevice {
  private readonly readback: Readback;

  constructor(
    private readonly device: Device,
    private readonly s: StepActivations,
    private readonly sampled: GPUBuffer,
    private readonly schedule: AdaptiveSchedule,
    private readonly clock: Clock,
  ) {
    this.readback = new Readback(device, (s.routing?.buffer.sizeBytes ?? 0) + IDS_BYTES);
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
    const pending = this.copy(encoder, { first: 0, end: 0, withIds: true });
    const startMs = this.clock.now();
    this.device.submit(encoder.finish());
    await pending.wait();
    return this.clock.now() - startMs;
  }

  /** A layer's routes out of what a read of `of` brought. */
  routesIn(bytes: ArrayBuffer, of: ReadOf, layer: number, nRows: number): LayerRoutes {
    const { partBytes, routes } = this.s.routing!;
    const n = nRows * routes[layer]!.nExpertsUsed;
    const at = (part: number) => ((layer - of.first) * ROUTING_PARTS + part) * partBytes;
    return {
      ids: new Uint32Array(bytes, at(0), n),
      weights: new Float32Array(bytes, at(1), n),
      slots: new Uint32Array(bytes, at(2), n),
      guess: new Uint32Array(bytes, at(3), n),
    };
  }

  /** The ids a step picked, by row. */
  idsIn(bytes: ArrayBuffer, nRows: number): readonly number[] {
    return Array.from(new Uint32Array(bytes, bytes.byteLength - IDS_BYTES, nRows));
  }

  /** Says where a layer's chosen experts lie and what they weigh, in the place of what its routing found: [R, k]. */
  place(layer: number, slotsOf: readonly number[], weightsOf: readonly number[]): void {
    const { slots, weights } = this.s.routing!.routes[layer]!;
    this.device.write(slots.buffer, slots.offset, new Uint8Array(Uint32Array.from(slotsOf).buffer));
    this.device.write(weights.buffer, weights.offset, new Uint8Array(Float32Array.from(weightsOf).buffer));
  }

  /** What is submitted from now on runs again. */
  clearFault(): void {
    this.device.write(this.s.fault.buffer, 0, new Uint8Array(new Uint32Array([NO_FAULT]).buffer));
  }

  destroy(): void {
    this.readback.destroy();
  }

  private copy(encoder: GPUCommandEncoder, { first, end, withIds }: ReadOf): PendingRead {
    const { routing } = this.s;
    const parts = [];
    if (routing && end > first) {
      const layerBytes = ROUTING_PARTS * routing.partBytes;
      const range = { offset: first * layerBytes, sizeBytes: (end - first) * layerBytes };
      parts.push({ source: routing.buffer.buffer, ...range });
    }
    if (withIds) parts.push({ source: this.sampled, offset: 0, sizeBytes: IDS_BYTES });
    return this.readback.copyParts(encoder, parts);
  }
}
