import sampleWgsl from '#shaders/sample.wgsl';
import type { BufferView, Recorder } from '../gpu/index.ts';
import { rowStride } from '../quant/index.ts';
import type { PickArgs } from './argmax.ts';

/** Values from one row of `sampling` to the next. */
export const SAMPLING_VALUES = 8;

/**
 * sampled[r] = tokens[r] = an id drawn from row r's logits as llama.cpp's samplers do by default: top-k, top-p, min-p, then the temperature;
 * the candidate within whose share of the sum u falls, greatest first. Equal logits rank by rising id.
 *
 * `sampling` holds [temperature, topK, topP, minP, u] for each row, SAMPLING_VALUES apart: topK 0 keeps 1024, the most there may be; temperature 0 leaves the
 * greatest; u is in [0, 1). NaN and -inf are never drawn, unless there is nothing else: then it is the first in rank.
 */
export function sample(rec: Recorder, a: PickArgs & { readonly sampling: BufferView }): void {
  const { logits, sampling, sampled, tokens, nRows, nVocab, stage } = a;
  rec.dispatch({
    shader: sampleWgsl,
    bindings: { logits, sampling, sampled, tokens },
    params: { nVocab, logitStride: rowStride(nVocab), stage },
    // A barrier of a software adapter costs by the lane: a draw from 8 logits took 3.0 ms with 256, 1.0 with 64.
    tunables: { LANES: rec.device.family === 'thread' ? 64 : 256 },
    workgroups: [nRows],
  });
}
