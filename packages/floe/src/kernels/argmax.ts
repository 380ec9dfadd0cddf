import argmaxWgsl from '#shaders/argmax.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';

/** What `sampled` holds where every logit was NaN. */
export const NOTHING_PICKED = 0xffffffff;

export interface PickArgs {
  /** [nRows, nVocab], rows padded to whole groups of 32. */
  readonly logits: BufferView;
  /** [nRows] the picked ids, for the host. */
  readonly sampled: BufferView;
  /** [nRows] the picked ids: the input of the next step. */
  readonly tokens: BufferView;
  readonly nRows: number;
  readonly nVocab: number;
  readonly stage: number;
}

/** sampled[r] = tokens[r] = the id of row r's greatest logit; ties: the lowest id; NaN never wins; all NaN: NOTHING_PICKED and 0. */
export function argmax(rec: Recorder, { logits, sampled, tokens, nRows, nVocab, stage }: PickArgs): void {
  rec.dispatch({
    shader: argmaxWgsl,
    bindings: { logits, sampled, tokens },
    params: { nVocab, logitStride: rowStride(nVocab), stage },
    workgroups: [nRows],
  });
}
