/** How the next id is picked of each row of logits. */
import { type Device, type Recorder, whole } from '../gpu/index.ts';
import { argmax, denseStage, SAMPLING_VALUES, sample } from '../kernels/index.ts';
import type { Activations, ModelPlan } from '../model/index.ts';

/** The likeliest id, or one drawn with these parameters. */
export type Picking =
  | { readonly kind: 'greedy' }
  | {
      readonly kind: 'sample';
      readonly temperature: number;
      readonly topK: number;
      readonly topP: number;
      readonly minP: number;
    };

/** An id to be picked, and a number in [0, 1) for the draw. */
export interface Draw {
  readonly picking: Picking;
  readonly u: number;
}

/** An id on its way. */
export interface PendingId {
  readonly wait: () => Promise<number>;
}

/** Picks the ids of up to `nRows` rows of `s.logits`: into `s.tokens`, as the next step's input, and for the host. */
export class Picker {
  /** [nRows] the ids, for the host. */
  readonly sampled: GPUBuffer;
  private readonly sampling: GPUBuffer;

  constructor(
    private readonly device: Device,
    private readonly s: Pick<Activations, 'logits' | 'tokens'>,
    private readonly plan: ModelPlan,
    nRows: number,
  ) {
    this.sampled = device.buffers.storage('activations', 'sampled', nRows * 4);
    this.sampling = device.buffers.storage('activations', 'sampling', nRows * SAMPLING_VALUES * 4);
  }

  record(rec: Recorder, kind: Picking['kind'], nRows: number): void {
    const { s, sampled, sampling } = this;
    const { nVocab, shape } = this.plan;
    const common = { logits: s.logits, sampled: whole(sampled), tokens: s.tokens, nRows, nVocab };
    // Behind the last layer's experts, as the head is.
    const stage = denseStage(shape.nRoutedLayers);
    if (kind === 'greedy') argmax(rec, { ...common, stage });
    else sample(rec, { ...common, stage, sampling: whole(sampling) });
  }

  /** What draws the ids of these rows: one that samples samples them all, a greedy row the greatest. */
  kindOf(rows: readonly Draw[]): Picking['kind'] {
    return rows.every(({ picking }) => picking.kind === 'greedy') ? 'greedy' : 'sample';
  }

  /** Tells the next step how its rows' ids are picked. */
  write(rows: readonly Draw[]): void {
    if (this.kindOf(rows) === 'greedy') return;
    const values = new Float32Array(rows.length * SAMPLING_VALUES);
    for (const [row, { picking, u }] of rows.entries()) {
      const { temperature, topK, topP, minP } = picking.kind === 'sample' ? picking : GREATEST;
      values.set([temperature, topK, topP, minP, u], row * SAMPLING_VALUES);
    }
    this.device.write(this.sampling, 0, new Uint8Array(values.buffer));
  }

  destroy(): void {
    this.device.buffers.destroy(this.sampled);
    this.device.buffers.destroy(this.sampling);
  }
}

const GREATEST = { temperature: 0, topK: 1, topP: 1, minP: 0 };
