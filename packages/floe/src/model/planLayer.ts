/** The records of one layer, by its description. What a file may have or not (a bias, fused matrices) is as it is there. */
import type { RecordPlan } from '../store/index.ts';
import type { LayerDescription, MlpDescription, ModelDescription } from './architecture.ts';
import { type RecordBook, sliceOf } from './records.ts';
import type { RunnableTensor } from './tensors.ts';

/** The weights of a layer, as records or as they lie on the GPU: `M` one matrix, `S` several of one input, `V` a vector. */
export interface LayerWeights<M, S, V, E> {
  readonly attnNorm: V;
  /** q over k over v; several matrices where their formats differ. */
  readonly attnQkv: S;
  readonly attnOutput: M;
  /** Norm before the dense MLP, or before the experts where they take its place. */
  readonly ffnNorm: V;
  readonly mlp: { readonly gateUp: M; readonly down: M } | null;
  readonly experts: (RouterWeights<M, V> & E) | null;
}

export interface RouterWeights<M, V> {
  /** Norm of the layer's input; null where `ffnNorm` feeds the experts. */
  readonly norm: V | null;
  readonly gateInp: M;
}

export type LayerPlan = LayerWeights<
  RecordPlan,
  RecordPlan,
  RecordPlan,
  {
    /** One record an expert: matrices [gate over up, down]. All have the same layout. */
    readonly records: readonly RecordPlan[];
  }
>;

export function planLayer(book: RecordBook, model: ModelDescription, layer: number): LayerPlan {
  const { modelDim, nHeads, valueDim } = model.shape;
  const description = model.layers[layer]!;
  const blk = `blk.${layer}`;
  return {
    attnNorm: book.weight(`${blk}.attn_norm`, [modelDim]),
    attnQkv: planQkv(book, model, blk),
    attnOutput: book.weight(`${blk}.attn_output`, [modelDim, nHeads * valueDim]),
    ffnNorm: book.weight(`${blk}.${model.norms.beforeFeedForward}`, [modelDim]),
    mlp: description.mlp && planMlp(book, description.mlp, modelDim, blk),
    experts: description.experts && planExperts(book, model, description, blk),
  };
}

function planQkv(book: RecordBook, { shape }: ModelDescription, blk: string): RecordPlan {
  const { modelDim, nHeads, nKvHeads, headDim, valueDim } = shape;
  return book.stack(`${blk}.attn_qkv`, [
    book.shelf.take(`${blk}.attn_q.weight`, [nHeads * headDim, modelDim]),
    book.shelf.take(`${blk}.attn_k.weight`, [nKvHeads * headDim, modelDim]),
    book.shelf.take(`${blk}.attn_v.weight`, [nKvHeads * valueDim, modelDim]),
  ]);
}

function planMlp(book: RecordBook, { suffix, dim }: MlpDescription, modelDim: number, blk: string) {
  const name = (stem: string) => `${blk}.${stem}${suffix}`;
  const [gate, up] = ['ffn_gate', 'ffn_up'].map((stem) => book.shelf.take(`${name(stem)}.weight`, [dim, modelDim]));
  return {
    gateUp: book.gateUp(name('ffn_gate_up'), gate!, up!),
    down: book.weight(name('ffn_down'), [modelDim, dim]),
  };
}

function planExperts(book: RecordBook, { shape }: ModelDescription, { experts }: LayerDescription, blk: string) {
  const { modelDim, nExperts } = shape;
  return {
    norm: experts!.reads === 'layerInput' ? book.weight(`${blk}.ffn_norm_exps`, [modelDim]) : null,
    gateInp: book.weight(`${blk}.ffn_gate_inp`, [nExperts, modelDim]),
    records: planExpertRecords(book, shape, blk),
  };
}

/** The three merged tensors [nExperts, rows, K] of a layer, cut into one record for each expert. */
function planExpertRecords(
  book: RecordBook,
  { nExperts, expertDim, modelDim }: ModelDescription['shape'],
  blk: string,
): RecordPlan[] {
  const of = (stem: string, rows: number, row: number): readonly RunnableTensor[] => {
    const merged = book.shelf.take(`${blk}.${stem}_exps.weight`, [nExperts, rows, row]);
    return Array.from({ length: nExperts }, (_, expert) => sliceOf(merged, expert, nExperts));
  };
  const [gate, up] = [of('ffn_gate', expertDim, modelDim), of('ffn_up', expertDim, modelDim)];
  const down = of('ffn_down', modelDim, expertDim);
  return gate.map((one, expert) => book.expert(blk, expert, one, up[expert]!, down[expert]!));
}

/** The records of a layer, or of a part of it, that are no experts. */
export function denseRecords(part: object): RecordPlan[] {
  return Object.values(part).flatMap((value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
    return 'matrices' in value ? [value as RecordPlan] : denseRecords(value);
  });
}
