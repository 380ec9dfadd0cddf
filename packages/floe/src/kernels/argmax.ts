import argmaxWgsl from '#shaders/argmax.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';

/** What `sampled` holds where every logit was NaN. */
export const NOTHING_PICKED = 0xffffffff;

export interface PickArgs {
  /** [nVocab]. */
  readonly logits: BufferView;
  /** [1] the picked id, for the host. */
  readonly sampled: BufferView;
  /** [T] the picked id in front: the input of the next step. */
  readonly tokens: BufferView;
  readonly nVocab: number;
}

/** sampled[0] = tokens[0] = the id of the greatest logit; ties: the lowest id; NaN never wins; all NaN: NOTHING_PICKED. */
export function argmax(rec: Recorder, { logits, sampled, tokens, nVocab }: PickArgs): void {
  rec.dispatch({ shader: argmaxWgsl, bindings: { logits, sampled, tokens }, params: { nVocab }, workgroups: [1] });
}
