/** From a GGUF's header to what will be stored and placed: pure, and known before a weight is downloaded. */
import { ModelError } from '../errors/index.ts';
import type { Gguf, Metadata } from '../gguf/index.ts';
import { type FormatName, formatByName, planeBytes } from '../quant/index.ts';
import type { MatrixPlan, RecordPlan, SourceRange } from '../store/index.ts';
import type { Architecture, FeedForward, Hyperparameters, ModelShape } from './architecture.ts';
import { architectures } from './architectures/index.ts';
import { type RunnableTensor, TensorShelf } from './tensors.ts';

export interface LayerPlan {
  readonly attnNorm: RecordPlan;
  /** q over k over v; several matrices where their formats differ. */
  readonly attnQkv: RecordPlan;
  readonly attnOutput: RecordPlan;
  /** Norm before the dense MLP, or before the experts where they take its place. */
  readonly ffnNorm: RecordPlan;
  readonly dense: { readonly gateUp: RecordPlan; readonly down: RecordPlan } | null;
  readonly experts: {
    /** Norm of the layer's input; null where `ffnNorm` feeds the experts. */
    readonly norm: RecordPlan | null;
    readonly gateInp: RecordPlan;
    /** One record an expert: matrices [gate over up, down]. All have the same layout. */
    readonly records: readonly RecordPlan[];
  } | null;
}

export interface ModelPlan {
  readonly architecture: Architecture;
  readonly feedForward: FeedForward;
  readonly shape: ModelShape;
  readonly nVocab: number;
  readonly tokenEmbd: RecordPlan;
  readonly layers: readonly LayerPlan[];
  readonly outputNorm: RecordPlan;
  /** Null where the embedding matrix serves as output (tied). */
  readonly output: RecordPlan | null;
  /** Divisors of the rotation frequencies (Llama 3.1), read by the host. */
  readonly ropeFreqs: RecordPlan | null;
  /** Every record in the order it is wanted: what answers need first comes first. */
  readonly records: readonly RecordPlan[];
  /** Bytes of all tensors in the file. */
  readonly fileTensorBytes: number;
}

/** What it takes to run this file. @throws {ModelError} model/*: an unknown architecture, or tensors that don't fit it. */
export function planModel(gguf: Gguf): ModelPlan {
  const architecture = architectures.find(({ name }) => name === gguf.architecture);
  if (!architecture) {
    throw new ModelError(
      'model/unsupported-architecture',
      `The model is a ${gguf.architecture}, which Floe can't run yet.`,
      {
        remedy: `Floe runs ${architectures.map(({ name }) => name).join(', ')}.`,
        details: { architecture: gguf.architecture },
      },
    );
  }
  const shape = architecture.shape(hyperparameters(gguf.metadata, gguf.architecture));
  checkShape(shape);
  const shelf = new TensorShelf(gguf);
  const feedForward = architecture.feedForward(shape);
  const nVocab = gguf.tensors.get('token_embd.weight')?.shape[0] ?? 0;
  const tokenEmbd = one(shelf, 'token_embd', [nVocab, shape.modelDim]);
  const layers = Array.from({ length: shape.nLayers }, (_, layer) => planLayer(shelf, shape, feedForward, layer));
  const outputNorm = one(shelf, 'output_norm', [shape.modelDim]);
  const output = shelf.has('output.weight') ? one(shelf, 'output', [nVocab, shape.modelDim]) : null;
  const ropeFreqs = shelf.has('rope_freqs.weight') ? one(shelf, 'rope_freqs', [shape.ropeDim / 2]) : null;
  shelf.finish();
  const globals = [tokenEmbd, outputNorm, ...(output ? [output] : []), ...(ropeFreqs ? [ropeFreqs] : [])];
  return {
    architecture,
    feedForward,
    shape,
    nVocab,
    tokenEmbd,
    layers,
    outputNorm,
    output,
    ropeFreqs,
    records: [...globals, ...layers.flatMap(denseRecords), ...layers.flatMap((layer) => layer.experts?.records ?? [])],
    fileTensorBytes: [...gguf.tensors.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

function denseRecords({ attnNorm, attnQkv, attnOutput, ffnNorm, dense, experts }: LayerPlan): RecordPlan[] {
  return [
    attnNorm,
    attnQkv,
    attnOutput,
    ffnNorm,
    ...(dense ? [dense.gateUp, dense.down] : []),
    ...(experts ? [...(experts.norm ? [experts.norm] : []), experts.gateInp] : []),
  ];
}

function planLayer(shelf: TensorShelf, shape: ModelShape, feedForward: FeedForward, layer: number): LayerPlan {
  const { modelDim, nHeads, nKvHeads, headDim, ffDim, nExperts } = shape;
  const blk = `blk.${layer}`;
  const qkv = [
    shelf.take(`${blk}.attn_q.weight`, [nHeads * headDim, modelDim]),
    shelf.take(`${blk}.attn_k.weight`, [nKvHeads * headDim, modelDim]),
    shelf.take(`${blk}.attn_v.weight`, [nKvHeads * headDim, modelDim]),
  ];
  return {
    attnNorm: one(shelf, `${blk}.attn_norm`, [modelDim]),
    attnQkv: record(`${blk}.attn_qkv`, stacked(qkv)),
    attnOutput: one(shelf, `${blk}.attn_output`, [modelDim, nHeads * headDim]),
    ffnNorm: one(shelf, `${blk}.ffn_norm`, [modelDim]),
    dense:
      feedForward === 'experts'
        ? null
        : {
            gateUp: record(`${blk}.ffn_gate_up`, [
              gateOverUp(
                shelf.take(`${blk}.ffn_gate.weight`, [ffDim, modelDim]),
                shelf.take(`${blk}.ffn_up.weight`, [ffDim, modelDim]),
              ),
            ]),
            down: one(shelf, `${blk}.ffn_down`, [modelDim, ffDim]),
          },
    experts:
      nExperts === 0
        ? null
        : {
            norm: feedForward === 'denseBesideExperts' ? one(shelf, `${blk}.ffn_norm_exps`, [modelDim]) : null,
            gateInp: one(shelf, `${blk}.ffn_gate_inp`, [nExperts, modelDim]),
            records: planExperts(shelf, shape, blk),
          },
  };
}

/** Whether a record is one expert of one layer, and so may lie elsewhere than on the GPU. */
export function isExpertRecord({ key }: RecordPlan): boolean {
  return key.includes(EXPERT_INFIX);
}

/** In the keys of experts' records, and of no other. */
const EXPERT_INFIX = '.expert.';

/** The three merged tensors [nExperts, rows, K] of a layer, cut into one record for each expert. */
function planExperts(shelf: TensorShelf, { nExperts, expertDim, modelDim }: ModelShape, blk: string): RecordPlan[] {
  const gate = shelf.take(`${blk}.ffn_gate_exps.weight`, [nExperts, expertDim, modelDim]);
  const up = shelf.take(`${blk}.ffn_up_exps.weight`, [nExperts, expertDim, modelDim]);
  const down = shelf.take(`${blk}.ffn_down_exps.weight`, [nExperts, modelDim, expertDim]);
  return Array.from({ length: nExperts }, (_, expert) => {
    const slice = (tensor: RunnableTensor) => sliceOf(tensor, expert, nExperts);
    return record(`${blk}${EXPERT_INFIX}${expert}`, [gateOverUp(slice(gate), slice(up)), matrixOf([slice(down)])]);
  });
}

/** Expert `index` of a merged tensor, as a tensor of its own. */
function sliceOf(tensor: RunnableTensor, index: number, nExperts: number): RunnableTensor {
  const sizeBytes = tensor.sizeBytes / nExperts;
  return { ...tensor, shape: tensor.shape.slice(1), offset: tensor.offset + index * sizeBytes, sizeBytes };
}

type Unplaced = Omit<MatrixPlan, 'mainOffset' | 'sideOffset'>;

function one(shelf: TensorShelf, name: string, shape: readonly number[]): RecordPlan {
  return record(name, [matrixOf([shelf.take(`${name}.weight`, shape)])]);
}

function matrixOf(tensors: readonly RunnableTensor[]): Unplaced {
  const [first] = tensors as [RunnableTensor];
  const rowElements = first.shape.at(-1) ?? 0;
  const sources = tensors.map(({ name, offset, sizeBytes }): SourceRange => ({ tensor: name, offset, sizeBytes }));
  const nRows = tensors.reduce((sum, { shape }) => sum + (shape.length > 1 ? (shape.at(-2) ?? 0) : 1), 0);
  return { format: first.format.name, nRows, rowElements, sources };
}

/** Neighbours of one format become one matrix, so that one dispatch multiplies by all of them. */
function stacked(tensors: readonly RunnableTensor[]): Unplaced[] {
  const runs: RunnableTensor[][] = [];
  for (const tensor of tensors) {
    const run = runs.at(-1);
    if (run?.[0]?.format === tensor.format) run?.push(tensor);
    else runs.push([tensor]);
  }
  return runs.map(matrixOf);
}

function gateOverUp(gate: RunnableTensor, up: RunnableTensor): Unplaced {
  if (gate.format !== up.format) {
    throw new ModelError('model/shape', `${gate.name} is ${gate.typeName} and ${up.name} is ${up.typeName}.`, {
      remedy: 'Floe needs the gate and up matrices of a layer in one format. Quantize the model again.',
      details: { gate: gate.typeName, up: up.typeName },
    });
  }
  return matrixOf([gate, up]);
}

/** Lays matrices out in a record, each plane at a multiple of 256 where it is a matrix, and closes it at one. */
function record(key: string, matrices: readonly Unplaced[]): RecordPlan {
  let at = 0;
  const place = (sizeBytes: number) => {
    const offset = at;
    at = Math.ceil((at + sizeBytes) / 256) * 256;
    return offset;
  };
  const placed = matrices.map((matrix): MatrixPlan => {
    const planes = planeBytes(formatByName(matrix.format), matrix.nRows, matrix.rowElements);
    return { ...matrix, mainOffset: place(planes.main), sideOffset: place(planes.side) };
  });
  return { key, sizeBytes: at, matrices: placed };
}

/** The format most weights have: what people call the file. */
export function dominantFormat(plan: ModelPlan): FormatName {
  const elements = new Map<FormatName, number>();
  for (const { format, nRows, rowElements } of plan.records.flatMap(({ matrices }) => matrices)) {
    elements.set(format, (elements.get(format) ?? 0) + nRows * rowElements);
  }
  return [...elements].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'F32';
}

function checkShape({ modelDim, nHeads, nKvHeads, headDim, ropeDim }: ModelShape): void {
  const refuse = (what: string) => {
    throw new ModelError('model/shape', what, {
      remedy: 'The metadata of this file contradicts itself or is beyond what Floe runs. Download the model again.',
      details: { modelDim, nHeads, nKvHeads, headDim, ropeDim },
    });
  };
  if (nHeads % nKvHeads !== 0) refuse(`${nHeads} query heads can't share ${nKvHeads} key-value heads evenly.`);
  if (headDim % 4 !== 0 || headDim > 256) refuse(`Heads of ${headDim}: Floe runs multiples of 4 up to 256.`);
  if (ropeDim % 2 !== 0) refuse(`${ropeDim} rotated dimensions: they turn in pairs.`);
}

function hyperparameters(metadata: Metadata, prefix: string): Hyperparameters {
  const key = (name: string) => `${prefix}.${name}`;
  return {
    u32: (name, range) => metadata.u32(key(name), range),
    optionalU32: (name, range) => metadata.optionalU32(key(name), range),
    f32: (name, range) => metadata.f32(key(name), range),
    optionalF32: (name, range) => metadata.optionalF32(key(name), range),
    optionalString: (name) => metadata.optionalString(key(name)),
  };
}
