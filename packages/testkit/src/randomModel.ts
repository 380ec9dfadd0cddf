import type { FormatName } from '../../floe/src/quant/index.ts';
import { hearingKinds, sayingKinds } from './clearRoutes.ts';
import { type GgufInput, type MetadataInput, type TensorInput, writeGguf } from './ggufWriter.ts';
import { encoderTensors, N_TYPES } from './randomEncoder.ts';
import { type Family, type FamilyName, families } from './randomFamilies.ts';
import { type TensorMaker, tensorMaker } from './randomTensors.ts';
import { randomTokenizer, type TokenizerKind } from './randomTokenizer.ts';
import { seeded } from './seeded.ts';

export interface RandomModelOptions {
  /** 'llama' with `nExperts` has Mixtral's shape. */
  readonly architecture: FamilyName;
  readonly nLayers: number;
  readonly modelDim: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  /** Default: the heads fill the model's width. */
  readonly headDim?: number;
  /** Width of the dense MLP, or of an expert all tokens share; that of 'arctic' is `modelDim`. */
  readonly ffDim?: number;
  readonly expertDim?: number;
  readonly nExperts?: number;
  readonly nExpertsUsed?: number;
  readonly nVocab: number;
  /** Default: the family's. */
  readonly tokenizer?: TokenizerKind;
  /** Of matrices; norms, biases, router and frequencies are F32 as in every file. */
  readonly type: FormatName;
  /** Those of another type, by name without `.weight`: files like Q4_K_M mix them. */
  readonly types?: Readonly<Record<string, FormatName>>;
  readonly seed: number;
  /** No output matrix: the embedding is used again. Some families have none ever. */
  readonly tied?: boolean;
  /** With divisors of the RoPE frequencies, as Llama 3.1 has; 'llama' only. */
  readonly ropeFreqs?: boolean;
  /** Default: the whole head, which is all that llama.cpp loads for these architectures. */
  readonly ropeDim?: number;
  readonly ropeBase?: number;
  readonly nCtxTrain?: number;
  /** `rope.scaling.*`, by their names behind that. */
  readonly ropeScaling?: Readonly<Record<string, MetadataInput>>;
  /** Other metadata of the architecture, in place of the family's own. */
  readonly metadata?: Readonly<Record<string, MetadataInput>>;
  /** Routers choose so clearly that rounding changes nothing. Default: their scores have a deviation of 2, and some are close. */
  readonly clearRoutes?: boolean;
  /** A tensor for each expert, as Mixtral's first files have it. */
  readonly expertsApart?: boolean;
  /** Keys and values of a latent vector by one matrix, as the first files have it. */
  readonly latentJoined?: boolean;
  /** Queries of the layer's input, as in DeepSeek-V2-Lite; llama.cpp knows that by its 27 layers. */
  readonly latentLite?: boolean;
}

/**
 * A GGUF file with random weights that any engine can load. Activations keep their size from layer to layer, logits
 * spread by about 2, norm weights are far from 1, every bias far from 0: so an error anywhere shows in the output. The seed
 * and a tensor's name decide its weights, whatever else there is in the model.
 */
export function randomModel(options: RandomModelOptions): Uint8Array {
  return writeGguf(randomGguf(options));
}

/** The same before it is written, for tests that change something in it. */
export function randomGguf(options: RandomModelOptions): GgufInput {
  return { metadata: randomMetadata(options), tensors: randomTensors(options) };
}

/** The metadata of `randomModel`. */
export function randomMetadata(options: RandomModelOptions): Record<string, MetadataInput> {
  const { architecture, modelDim, nHeads, nExperts = 0 } = options;
  const family: Family = families[architecture];
  const headDim = headDimOf(options);
  const hasOwnDim = family.expertLength === 'own';
  const eps = family.layerNorm ? 'attention.layer_norm_epsilon' : 'attention.layer_norm_rms_epsilon';
  const hyperparameters: Record<string, MetadataInput> = {
    vocab_size: options.nVocab,
    context_length: options.nCtxTrain ?? 512,
    embedding_length: modelDim,
    block_count: options.nLayers,
    feed_forward_length: nExperts > 0 && !hasOwnDim ? expertDimOf(options) : ffDimOf(options),
    'attention.head_count': nHeads,
    'attention.head_count_kv': options.nKvHeads,
    [eps]: { f32: 1e-5 },
    'rope.freq_base': { f32: options.ropeBase ?? 10_000 },
    'rope.dimension_count': options.ropeDim ?? headDim,
    ...(headDim === modelDim / nHeads ? {} : { 'attention.key_length': headDim, 'attention.value_length': headDim }),
    ...(nExperts > 0 ? { expert_count: nExperts, expert_used_count: options.nExpertsUsed ?? 2 } : {}),
    ...(nExperts > 0 && hasOwnDim ? { expert_feed_forward_length: expertDimOf(options) } : {}),
    ...family.metadata?.(options),
    ...Object.fromEntries(
      Object.entries(options.ropeScaling ?? {}).map(([key, value]) => [`rope.scaling.${key}`, value]),
    ),
    ...options.metadata,
  };
  return {
    'general.architecture': architecture,
    'general.name': `random ${family.title ?? architecture} ${options.seed}`,
    'general.quantization_version': 2,
    ...Object.fromEntries(Object.entries(hyperparameters).map(([key, value]) => [`${architecture}.${key}`, value])),
    ...randomTokenizer(options.nVocab, options.tokenizer ?? family.tokenizer),
    ...(family.encoder ? { 'tokenizer.ggml.token_type_count': N_TYPES } : {}),
  };
}

/** The tensors of `randomModel`. */
export function randomTensors(options: RandomModelOptions): TensorInput[] {
  const { architecture, nLayers, modelDim: D, nVocab, ropeFreqs = false } = options;
  const family: Family = families[architecture];
  const tied = options.tied ?? family.tied ?? false;
  const make = tensorMaker(options.type, seeded(options.seed), options.types);
  if (family.encoder) return encoderTensors(make, options, family.encoder);
  const nPairs = (options.ropeDim ?? headDimOf(options)) / 2;
  // Tied, the embedding's deviation is the output matrix's; the first norm undoes that.
  const deviation = tied ? 2 / Math.sqrt(D) : 1;
  const embedding = make.matrix('token_embd', [nVocab, D], deviation);
  const tensors = [
    options.clearRoutes ? sayingKinds(embedding, deviation, options) : embedding,
    ...norm(make, 'output_norm', D, family),
    ...(tied ? [] : [make.matrix('output', [nVocab, D], 2 / Math.sqrt(D))]),
  ];
  if (ropeFreqs) {
    if (architecture !== 'llama') throw new Error(`${architecture} has no rope_freqs`);
    tensors.push(make.divisors('rope_freqs', nPairs));
  }
  if (options.ropeScaling?.type === 'longrope') {
    tensors.push(make.divisors('rope_factors_long', nPairs), make.divisors('rope_factors_short', nPairs));
  }
  for (let layer = 0; layer < nLayers; layer++) {
    const blk = `blk.${layer}.`;
    tensors.push(...norm(make, `${blk}attn_norm`, D, family));
    tensors.push(...(family.latent ? latentAttention : attention)(make, blk, options, family));
    if (family.postNorms) tensors.push(make.norm(`${blk}post_attention_norm`, D), make.norm(`${blk}post_ffw_norm`, D));
    tensors.push(...norm(make, `${blk}${family.ffnNorm ?? 'ffn_norm'}`, D, family));
    tensors.push(...feedForward(make, blk, layer, options, family));
  }
  return tensors;
}

function attention(make: TensorMaker, blk: string, options: RandomModelOptions, family: Family): TensorInput[] {
  const { modelDim: D, nHeads, nKvHeads } = options;
  const headDim = headDimOf(options);
  const [qDim, kvDim] = [headDim * nHeads, headDim * nKvHeads];
  // Somewhat sharper than a unit's attention: flat attention hides errors of position.
  const [sharp, plain] = [1.5 / Math.sqrt(D), 1 / Math.sqrt(D)];
  const qkv = family.fused
    ? [make.matrix(`${blk}attn_qkv`, [qDim + 2 * kvDim, D], sharp)]
    : [
        make.matrix(`${blk}attn_q`, [qDim, D], sharp),
        make.matrix(`${blk}attn_k`, [kvDim, D], sharp),
        make.matrix(`${blk}attn_v`, [kvDim, D], plain),
      ];
  const [qNorm, kNorm] = family.qkNorm === 'head' ? [headDim, headDim] : [qDim, kvDim];
  return [
    ...qkv,
    make.matrix(`${blk}attn_output`, [D, qDim], 1 / Math.sqrt(qDim)),
    ...(family.qkNorm ? [make.norm(`${blk}attn_q_norm`, qNorm), make.norm(`${blk}attn_k_norm`, kNorm)] : []),
    ...biases(make, blk, { attn_q: qDim, attn_k: kvDim, attn_v: kvDim, attn_output: D }, family),
    ...(family.sinks ? [make.f32(`${blk}attn_sinks`, [nHeads], 1)] : []),
  ];
}

function norm(make: TensorMaker, stem: string, dim: number, { normBiases }: Family): TensorInput[] {
  return [make.norm(stem, dim), ...(normBiases ? [make.bias(stem, [dim])] : [])];
}

/** Of those of `dims`, the stems the family has a bias for. */
function biases(make: TensorMaker, blk: string, dims: Record<string, number>, { biases = [] }: Family): TensorInput[] {
  return biases.filter((stem) => stem in dims).map((stem) => make.bias(`${blk}${stem}`, [dims[stem]!]));
}

function latentAttention(make: TensorMaker, blk: string, options: RandomModelOptions, family: Family): TensorInput[] {
  const { modelDim: D, nHeads, ropeDim = 16, latentJoined = false, latentLite = false } = options;
  const { queryRank, rank, plainDim, valueDim } = family.latent!;
  const headDim = plainDim + ropeDim;
  const up = latentJoined
    ? [make.matrix(`${blk}attn_kv_b`, [nHeads * (plainDim + valueDim), rank], 1.2 / Math.sqrt(rank))]
    : [
        make.matrix(`${blk}attn_k_b`, [nHeads, rank, plainDim], 1.5 / Math.sqrt(rank)),
        make.matrix(`${blk}attn_v_b`, [nHeads, valueDim, rank], 1 / Math.sqrt(rank)),
      ];
  const q = latentLite
    ? [make.matrix(`${blk}attn_q`, [nHeads * headDim, D], 1.5 / Math.sqrt(D))]
    : [
        make.matrix(`${blk}attn_q_a`, [queryRank, D], 1 / Math.sqrt(D)),
        make.norm(`${blk}attn_q_a_norm`, queryRank),
        make.matrix(`${blk}attn_q_b`, [nHeads * headDim, queryRank], 1.5 / Math.sqrt(queryRank)),
      ];
  return [
    ...q,
    make.matrix(`${blk}attn_kv_a_mqa`, [rank + ropeDim, D], 1.2 / Math.sqrt(D)),
    make.norm(`${blk}attn_kv_a_norm`, rank),
    ...up,
    make.matrix(`${blk}attn_output`, [D, nHeads * valueDim], 1 / Math.sqrt(nHeads * valueDim)),
  ];
}

function feedForward(
  make: TensorMaker,
  blk: string,
  layer: number,
  options: RandomModelOptions,
  family: Family,
): TensorInput[] {
  const { modelDim: D, nExperts = 0 } = options;
  const dense = () => mlp(make, blk, '', D, ffDimOf(options), family);
  if (nExperts === 0 || layer < (family.nDense ?? 0)) return dense();
  const beside = family.beside === 'mlp' ? [...dense(), make.norm(`${blk}ffn_norm_exps`, D)] : [];
  const shared = family.beside === 'shared' ? mlp(make, blk, '_shexp', D, ffDimOf(options), family) : [];
  const gate = family.sharedGate ? [make.f32(`${blk}ffn_gate_inp_shexp`, [D], 1 / Math.sqrt(D))] : [];
  return [...beside, ...shared, ...gate, ...experts(make, blk, layer, options, family)];
}

function mlp(make: TensorMaker, blk: string, suffix: string, D: number, F: number, family: Family): TensorInput[] {
  const { fused, ungated } = family;
  const up = make.matrix(`${blk}ffn_up${suffix}`, [F, D], 1 / Math.sqrt(D));
  const gateUp = fused
    ? [make.matrix(`${blk}ffn_up${suffix}`, [2 * F, D], 1 / Math.sqrt(D))]
    : [...(ungated ? [] : [make.matrix(`${blk}ffn_gate${suffix}`, [F, D], 1 / Math.sqrt(D))]), up];
  const down = make.matrix(`${blk}ffn_down${suffix}`, [D, F], 2 / Math.sqrt(F));
  return [...gateUp, down, ...biases(make, blk, { ffn_up: F, ffn_down: D }, family)];
}

function experts(
  make: TensorMaker,
  blk: string,
  layer: number,
  options: RandomModelOptions,
  family: Family,
): TensorInput[] {
  const { modelDim: D, nExperts = 0, expertsApart = false, clearRoutes = false } = options;
  const F = expertDimOf(options);
  if (nExperts < 1) throw new Error('nExperts is missing');
  const of = (stem: string, rows: number, row: number, deviation: number) => {
    const merged = make.matrix(`${blk}${stem}_exps`, [nExperts, rows, row], deviation);
    return expertsApart ? apart(merged, `${blk}${stem}`) : [merged];
  };
  const expertBiases = () => [
    make.bias(`${blk}ffn_gate_inp`, [nExperts]),
    make.bias(`${blk}ffn_gate_exps`, [nExperts, F]),
    make.bias(`${blk}ffn_up_exps`, [nExperts, F]),
    make.bias(`${blk}ffn_down_exps`, [nExperts, D]),
  ];
  const router = make.f32(`${blk}ffn_gate_inp`, [nExperts, D], (clearRoutes ? 1 : 2) / Math.sqrt(D));
  return [
    clearRoutes ? hearingKinds(router, layer, options) : router,
    ...of('ffn_gate', F, D, 1 / Math.sqrt(D)),
    ...of('ffn_up', F, D, 1 / Math.sqrt(D)),
    ...of('ffn_down', D, F, 2 / Math.sqrt(F)),
    ...(family.expertBiases ? expertBiases() : []),
    ...(family.selectionBias ? [selectionBias(make, blk, nExperts)] : []),
  ];
}

/** Smaller than other biases: it is added to a sigmoid, and is not to choose alone. */
function selectionBias(make: TensorMaker, blk: string, nExperts: number): TensorInput {
  const made = make.bias(`${blk}exp_probs_b`, [nExperts]);
  return { ...made, data: made.data.map((value) => 0.4 * value) };
}

/** The same weights, a tensor for each expert. */
function apart({ shape, type, data }: TensorInput, stem: string): TensorInput[] {
  const [nExperts, ...own] = shape as [number, ...number[]];
  const size = data.length / nExperts;
  return Array.from({ length: nExperts }, (_, expert) => ({
    name: `${stem}.${expert}.weight`,
    shape: own,
    type,
    data: data.slice(expert * size, (expert + 1) * size),
  }));
}

function headDimOf({ modelDim, nHeads, headDim }: RandomModelOptions): number {
  return headDim ?? modelDim / nHeads;
}

function ffDimOf({ architecture, modelDim, ffDim }: RandomModelOptions): number {
  return architecture === 'arctic' ? modelDim : (ffDim ?? 2 * modelDim);
}

function expertDimOf({ modelDim, expertDim, ffDim }: RandomModelOptions): number {
  return expertDim ?? ffDim ?? modelDim;
}
