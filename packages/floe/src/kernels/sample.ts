import sampleWgsl from '#shaders/sample.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import type { PickArgs } from './argmax.ts';

/**
 * sampled[0] = tokens[0] = an id drawn as llama.cpp's samplers do by default: top-k, top-p, min-p, then the temperature;
 * the candidate within whose share of the sum u falls, greatest first. Equal logits rank by rising id.
 *
 * `sampling` holds [temperature, topK, topP, minP, u]: topK 0 keeps 1024, the most there may be; temperature 0 leaves the
 * greatest; u is in [0, 1). NaN and -inf are never drawn, unless there is nothing else: then it is the first in rank.
 */
export function sample(rec: Recorder, a: PickArgs & { readonly sampling: BufferView }): void {
  const { logits, sampling, sampled, tokens, nVocab } = a;
  rec.dispatch({
    shader: sampleWgsl,
    bindings: { logits, sampling, sampled, tokens },
    params: { nVocab },
    // A barrier of a software adapter costs by the lane: a draw from 8 logits took 3.0 ms with 256, 1.0 with 64.
    tunables: { LANES: rec.device.family === 'thread' ? 64 : 256 },
    workgroups: [1],
  });
}
