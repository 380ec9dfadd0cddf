/** The records of one layer, by its description. What a file may have or not (a bias, fused matrices) is as it is there. */
import { ModelError } from '../errors/index.ts';
import type { RecordPlan } from '../store/index.ts';
import type { LayerDescription, MlpDescription, ModelDescription, ModelShape } from './architecture.ts';
import { planAttention } from './planAttention.ts';
import { type RecordBook, sliceOf } from './records.ts';
import type { RunnableTensor } from './tensors.ts';
import type { ExpertBiases, LayerWeights } from './weights.ts';

export type LayerPlan = LayerWeights<
  RecordPlan,
  RecordPlan,
  RecordPlan,
  {
    /** One record an expert: matrices [gate over up, down], or [gate, up, down]. All have the same layout. */
    readonly records: readonly RecordPlan[];
  }
>;

export function planLayer(book: RecordBook, model: ModelDescription, layer: number): LayerPlan {
  const { norms, shape } = model;
  const description = model.layers[layer]!;
  const blk = `blk.${layer}`;
  const norm = (stem: string | null) => (stem === null ? null : book.norm(`${blk}.${stem}`, shape.modelDim));
  return {
    description,
    ...planAttention(book, model, blk),
    afterAttention: norm(norms.afterAttention),
    attentionSum: norm(norms.attentionSum),
    ffnNorm: norm(norms.beforeFeedForward),
    mlp: description.mlp && planMlp(book, description.mlp, shape.modelDim, blk),
    afterFeedForward: norm(norms.afterFeedForward),
    feedForwardSum: norm(norms.feedForwardSum),
    experts: description.experts && planExperts(book, shape, description, blk),
  };
}

function planMlp(book: RecordBook, { suffix, dim, activation, gated }: MlpDescription, modelDim: number, blk: string) {
  const name = (stem: string) => `${blk}.${stem}${suffix}`;
  return {
    up:
      activation === 'gelu'
        ? book.linear(name('ffn_up'), [dim, modelDim])
        : { weight: book.stack(name('ffn_gate_up'), gateUpOf(book, name, dim, modelDim)), bias: null },
    down: book.linear(name('ffn_down'), [modelDim, dim]),
    gate: gated ? book.weight(name('ffn_gate_inp'), [modelDim]) : null,
  };
}

/** Gate and up, or one matrix of gate over up. */
function gateUpOf(book: RecordBook, name: (stem: string) => string, dim: number, modelDim: number): RunnableTensor[] {
  const [gate, up] = [`${name('ffn_gate')}.weight`, `${name('ffn_up')}.weight`];
  if (!book.shelf.has(gate)) return [book.shelf.take(up, [2 * dim, modelDim])];
  return [book.shelf.take(gate, [dim, modelDim]), book.shelf.take(up, [dim, modelDim])];
}

function planExperts(book: RecordBook, shape: ModelShape, { experts }: LayerDescription, blk: string) {
  const { modelDim, nExperts } = shape;
  return {
    norm: experts!.reads === 'layerInput' ? book.norm(`${blk}.ffn_norm_exps`, modelDim) : null,
    gateInp: book.linear(`${blk}.ffn_gate_inp`, [nExperts, modelDim]),
    selectionBias: book.optionalBias(`${blk}.exp_probs_b`, [nExperts]),
    biases: experts!.activation === 'swigluClamped' ? planBiases(book, shape, blk) : null,
    records: planExpertRecords(book, shape, blk),
  };
}

function planBiases(book: RecordBook, { nExperts, expertDim, modelDim }: ModelShape, blk: string) {
  const bias = (stem: string, dim: number) => book.bias(`${blk}.${stem}_exps`, [nExperts, dim]);
  const biases: ExpertBiases<RecordPlan> = {
    gate: bias('ffn_gate', expertDim),
    up: bias('ffn_up', expertDim),
    down: bias('ffn_down', modelDim),
  };
  return biases;
}

/** One record for each expert, cut from merged tensors [nExperts, rows, K], or from a tensor each as Mixtral's first files have. */
function planExpertRecords(book: RecordBook, shape: ModelShape, blk: string): RecordPlan[] {
  const { nExperts, expertDim, modelDim } = shape;
  const of = (stem: string, rows: number, row: number): readonly RunnableTensor[] => {
    const merged = `${blk}.${stem}_exps.weight`;
    const isOld = !book.shelf.has(merged) && book.shelf.has(`${blk}.${stem}.0.weight`);
    const experts = Array.from({ length: nExperts }, (_, expert) => expert);
    if (isOld)
      return inOneFormat(experts.map((expert) => book.shelf.take(`${blk}.${stem}.${expert}.weight`, [rows, row])));
    const tensor = book.shelf.take(merged, [nExperts, rows, row]);
    return experts.map((expert) => sliceOf(tensor, expert, nExperts));
  };
  const isFused = book.shelf.has(`${blk}.ffn_gate_up_exps.weight`);
  const gateUp = isFused
    ? [of('ffn_gate_up', 2 * expertDim, modelDim)]
    : [of('ffn_gate', expertDim, modelDim), of('ffn_up', expertDim, modelDim)];
  const down = of('ffn_down', modelDim, expertDim);
  return down.map((one, expert) =>
    book.expert(
      blk,
      expert,
      gateUp.map((tensors) => tensors[expert]!),
      one,
    ),
  );
}

/** A slot takes any of a layer's experts, and one kernel multiplies by all of them. */
function inOneFormat(experts: readonly RunnableTensor[]): readonly RunnableTensor[] {
  const [first] = experts as [RunnableTensor];
  const other = experts.find(({ format }) => format !== first.format);
  if (!other) return experts;
  throw new ModelError('model/shape', `${first.name} is ${first.typeName} and ${other.name} is ${other.typeName}.`, {
    remedy: 'Floe needs a matrix of all experts of a layer in one format. Quantize the model again.',
    details: { tensor: other.name, found: other.typeName, expected: first.typeName },
  });
}

/** Whether gate and up of a layer's dense MLP are two matrices, so that both products are there before they are activated. */
export function hasGateApart({ mlp }: LayerPlan): boolean {
  return mlp !== null && mlp.up.weight.matrices.length > 1;
}

/** The same of its experts. */
export function hasExpertGateApart({ experts }: LayerPlan): boolean {
  return experts !== null && experts.records[0]!.matrices.length > 2;
}

/** Whether products of experts' gate and up are there before they are activated: where they are apart, or are clamped. */
export function keepsExpertGateUp(layer: LayerPlan): boolean {
  return layer.description.experts?.activation === 'swigluClamped' || hasExpertGateApart(layer);
}

/** The records of a layer, or of a part of it, that are no experts. */
export function denseRecords(part: object): RecordPlan[] {
  return Object.values(part).flatMap((value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
    return 'matrices' in value ? [value as RecordPlan] : denseRecords(value);
  });
}
