import type { FormatName } from '../../floe/src/quant/index.ts';
import { type MetadataInput, type TensorInput, writeGguf } from './ggufWriter.ts';
import { randomTokenizer } from './randomTokenizer.ts';
import { type Seeded, seeded } from './seeded.ts';

/** `general.file_type` of each type of matrix: a label only. */
const FILE_TYPES: Readonly<Record<FormatName, number>> = {
  ...{ F32: 0, F16: 1, Q4_0: 2, Q4_1: 3, Q8_0: 7, Q5_0: 8, Q5_1: 9, Q2_K: 10, Q3_K: 12, Q4_K: 15, Q5_K: 17, Q6_K: 18 },
  ...{ IQ4_NL: 25, IQ4_XS: 30, BF16: 32, MXFP4: 38 },
};

export interface RandomModelOptions {
  /** 'llama' with `nExperts` has Mixtral's shape. */
  readonly architecture: 'arctic' | 'llama';
  readonly nLayers: number;
  readonly modelDim: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  /** Width of the dense MLP of 'llama'; that of 'arctic' is `modelDim`. */
  readonly ffDim?: number;
  readonly expertDim?: number;
  readonly nExperts?: number;
  readonly nExpertsUsed?: number;
  readonly nVocab: number;
  /** Of matrices; norms, router and frequencies are F32 as in every file. */
  readonly type: FormatName;
  readonly seed: number;
  /** No output matrix: the embedding is used again. */
  readonly tied?: boolean;
  /** With divisors of the RoPE frequencies, as Llama 3.1 has; 'llama' only. */
  readonly ropeFreqs?: boolean;
  /** Default: the whole head, which is all that llama.cpp loads for these architectures. */
  readonly ropeDim?: number;
  readonly ropeBase?: number;
  readonly nCtxTrain?: number;
}

/**
 * A GGUF file with random weights that any engine can load. Activations keep their size from layer to layer, logits
 * spread by about 2, norm weights are far from 1, and a router's scores lie far enough apart that rounding rarely
 * changes which experts are chosen: so an error anywhere shows in the output. The seed and a tensor's name decide its
 * weights, whatever else there is in the model.
 */
export function randomModel(options: RandomModelOptions): Uint8Array {
  return writeGguf({ metadata: randomMetadata(options), tensors: randomTensors(options) });
}

function randomMetadata(options: RandomModelOptions): Record<string, MetadataInput> {
  const { architecture, modelDim, nHeads, nExperts = 0 } = options;
  const hyperparameters: Record<string, MetadataInput> = {
    vocab_size: options.nVocab,
    context_length: options.nCtxTrain ?? 512,
    embedding_length: modelDim,
    block_count: options.nLayers,
    feed_forward_length: nExperts > 0 ? expertDimOf(options) : ffDimOf(options),
    'attention.head_count': nHeads,
    'attention.head_count_kv': options.nKvHeads,
    'attention.layer_norm_rms_epsilon': { f32: 1e-5 },
    'rope.freq_base': { f32: options.ropeBase ?? 10_000 },
    'rope.dimension_count': options.ropeDim ?? modelDim / nHeads,
    ...(nExperts > 0 ? { expert_count: nExperts, expert_used_count: options.nExpertsUsed ?? 2 } : {}),
  };
  return {
    'general.architecture': architecture,
    'general.name': `random ${architecture} ${options.seed}`,
    'general.file_type': FILE_TYPES[options.type],
    'general.quantization_version': 2,
    ...Object.fromEntries(Object.entries(hyperparameters).map(([key, value]) => [`${architecture}.${key}`, value])),
    ...randomTokenizer(options.nVocab),
  };
}

function randomTensors(options: RandomModelOptions): TensorInput[] {
  const { architecture, nLayers, modelDim: D, nVocab, tied = false, ropeFreqs = false } = options;
  const make = tensorMaker(options.type, seeded(options.seed));
  const tensors = [
    // Tied, the embedding's deviation is the output matrix's; the first norm undoes that.
    make.matrix('token_embd', [nVocab, D], tied ? 2 / Math.sqrt(D) : 1),
    make.norm('output_norm', D),
    ...(tied ? [] : [make.matrix('output', [nVocab, D], 2 / Math.sqrt(D))]),
  ];
  if (ropeFreqs) {
    if (architecture !== 'llama') throw new Error(`${architecture} has no rope_freqs`);
    tensors.push(make.divisors('rope_freqs', (options.ropeDim ?? D / options.nHeads) / 2));
  }
  for (let layer = 0; layer < nLayers; layer++) {
    tensors.push(...attention(make, `blk.${layer}.`, options), ...feedForward(make, `blk.${layer}.`, options));
  }
  return tensors;
}

function attention(make: TensorMaker, blk: string, { modelDim: D, nHeads, nKvHeads }: RandomModelOptions) {
  const kvDim = (D / nHeads) * nKvHeads;
  return [
    make.norm(`${blk}attn_norm`, D),
    // Somewhat sharper than a unit's attention: flat attention hides errors of position.
    make.matrix(`${blk}attn_q`, [D, D], 1.5 / Math.sqrt(D)),
    make.matrix(`${blk}attn_k`, [kvDim, D], 1.5 / Math.sqrt(D)),
    make.matrix(`${blk}attn_v`, [kvDim, D], 1 / Math.sqrt(D)),
    make.matrix(`${blk}attn_output`, [D, D], 1 / Math.sqrt(D)),
  ];
}

function feedForward(make: TensorMaker, blk: string, options: RandomModelOptions): TensorInput[] {
  const { architecture, modelDim: D, nExperts = 0 } = options;
  const F = ffDimOf(options);
  const dense = [
    make.matrix(`${blk}ffn_gate`, [F, D], 1 / Math.sqrt(D)),
    make.matrix(`${blk}ffn_up`, [F, D], 1 / Math.sqrt(D)),
    make.matrix(`${blk}ffn_down`, [D, F], 2 / Math.sqrt(F)),
  ];
  const norm = make.norm(`${blk}ffn_norm`, D);
  if (architecture === 'llama') return [norm, ...(nExperts > 0 ? experts(make, blk, options) : dense)];
  return [norm, ...dense, make.norm(`${blk}ffn_norm_exps`, D), ...experts(make, blk, options)];
}

function experts(make: TensorMaker, blk: string, options: RandomModelOptions): TensorInput[] {
  const { modelDim: D, nExperts = 0 } = options;
  const F = expertDimOf(options);
  if (nExperts < 1) throw new Error('nExperts is missing');
  return [
    make.f32(`${blk}ffn_gate_inp`, [nExperts, D], 2 / Math.sqrt(D)),
    make.matrix(`${blk}ffn_gate_exps`, [nExperts, F, D], 1 / Math.sqrt(D)),
    make.matrix(`${blk}ffn_up_exps`, [nExperts, F, D], 1 / Math.sqrt(D)),
    make.matrix(`${blk}ffn_down_exps`, [nExperts, D, F], 2 / Math.sqrt(F)),
  ];
}

function ffDimOf({ architecture, modelDim, ffDim }: RandomModelOptions): number {
  return architecture === 'arctic' ? modelDim : (ffDim ?? 2 * modelDim);
}

function expertDimOf({ modelDim, expertDim, ffDim }: RandomModelOptions): number {
  return expertDim ?? ffDim ?? modelDim;
}

type TensorMaker = ReturnType<typeof tensorMaker>;

/** Tensors by their name without `.weight`, from which and the seed their weights follow. */
function tensorMaker(type: FormatName, random: Seeded) {
  const normals = (tensorType: FormatName) => (stem: string, shape: readonly number[], deviation: number) => {
    const name = `${stem}.weight`;
    const nElements = shape.reduce((total, dim) => total * dim, 1);
    return { name, shape, type: tensorType, data: random.fork(name).normals(nElements, deviation) };
  };
  const uniforms = (stem: string, dim: number, min: number, max: number): TensorInput => {
    const name = `${stem}.weight`;
    return { name, shape: [dim], type: 'F32', data: random.fork(name).uniforms(dim, min, max) };
  };
  return {
    matrix: normals(type),
    f32: normals('F32'),
    /** Of mean square about 1, so that they don't change an activation's size. */
    norm: (stem: string, dim: number) => uniforms(stem, dim, 0.4, 1.5),
    divisors: (stem: string, dim: number) => uniforms(stem, dim, 1, 8),
  };
}
