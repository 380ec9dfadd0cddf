/** Tensors of BERT and of nomic-bert. */
import type { TensorInput } from './ggufWriter.ts';
import type { RandomModelOptions } from './randomModel.ts';
import type { TensorMaker } from './randomTensors.ts';

/** Of BERT's two sentences, whose rows are added to the embedding's. */
export const N_TYPES = 2;

export function encoderTensors(
  make: TensorMaker,
  options: RandomModelOptions,
  kind: 'biased' | 'gated',
): TensorInput[] {
  const { modelDim: D, nVocab, nLayers, nCtxTrain = 512 } = options;
  const layers = Array.from({ length: nLayers }, (_, layer) => layerTensors(make, `blk.${layer}.`, options, kind));
  return [
    make.matrix('token_embd', [nVocab, D], 1),
    make.f32('token_types', [N_TYPES, D], 0.5),
    ...(kind === 'biased' ? [make.f32('position_embd', [nCtxTrain, D], 0.7)] : []),
    ...biasedNorm(make, 'token_embd_norm', D),
    ...layers.flat(),
  ];
}

function layerTensors(
  make: TensorMaker,
  blk: string,
  { modelDim: D, ffDim: F = 2 * D }: RandomModelOptions,
  kind: 'biased' | 'gated',
): TensorInput[] {
  const matrix = (stem: string, rows: number, row: number, deviation: number) =>
    make.matrix(`${blk}${stem}`, [rows, row], deviation / Math.sqrt(row));
  const linear = (stem: string, rows: number, row: number, deviation: number) => [
    matrix(stem, rows, row, deviation),
    make.bias(`${blk}${stem}`, [rows]),
  ];
  const norms = [...biasedNorm(make, `${blk}attn_output_norm`, D), ...biasedNorm(make, `${blk}layer_output_norm`, D)];
  if (kind === 'gated') {
    return [
      matrix('attn_qkv', 3 * D, D, 1.5),
      matrix('attn_output', D, D, 1),
      matrix('ffn_gate', F, D, 1),
      matrix('ffn_up', F, D, 1),
      matrix('ffn_down', D, F, 2),
      ...norms,
    ];
  }
  return [
    ...linear('attn_q', D, D, 1.5),
    ...linear('attn_k', D, D, 1.5),
    ...linear('attn_v', D, D, 1),
    ...linear('attn_output', D, D, 1),
    ...linear('ffn_up', F, D, 1),
    ...linear('ffn_down', D, F, 2),
    ...norms,
  ];
}

function biasedNorm(make: TensorMaker, stem: string, dim: number): TensorInput[] {
  return [make.norm(stem, dim), make.bias(stem, [dim])];
}
