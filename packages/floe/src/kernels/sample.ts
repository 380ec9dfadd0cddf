import sampleWgsl from '#shaders/sample.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import type { PickArgs } from './argmax.ts';

/** sampled[0] = tokens[0] = an id drawn by `sampling` = [temperature, topK (0: 1024), topP, minP, u in [0, 1)]. */
export function sample(rec: Recorder, a: PickArgs & { sampling: BufferView }): void {
  const { logits, sampling, sampled, tokens, nVocab } = a;
  rec.dispatch({
    shader: sampleWgsl,
    bindings: { logits, sampling, sampled, tokens },
    params: { nVocab },
    workgroups: [1],
  });
}
