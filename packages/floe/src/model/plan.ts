/** From a GGUF's header to what will be stored and placed: pure, and known before a weight is downloaded. */
import { ModelError } from '../errors/index.ts';
import type { Gguf } from '../gguf/index.ts';
import type { FormatName } from '../quant/index.ts';
import type { RecordPlan } from '../store/index.ts';
import type { ModelDescription, ModelShape } from './architecture.ts';
import { architectures } from './architectures/index.ts';
import { hyperparameters, unsupported } from './hyperparameters.ts';
import { type LayerPlan, planLayer } from './planLayer.ts';
import { RecordBook } from './records.ts';
import type { RopeDivisors } from './rope.ts';
import { TensorShelf } from './tensors.ts';
import type { Input, Norm } from './weights.ts';

export interface ModelPlan {
  readonly description: ModelDescription;
  /** The description's. */
  readonly shape: ModelShape;
  readonly nVocab: number;
  readonly tokenEmbd: RecordPlan;
  readonly layers: readonly LayerPlan[];
  readonly input: Input<RecordPlan, RecordPlan>;
  /** Null where rows leave the last layer as they are wanted. */
  readonly outputNorm: Norm<RecordPlan> | null;
  /** Null where the embedding matrix serves as output (tied). */
  readonly output: RecordPlan | null;
  /** Divisors of the rotation frequencies, read by the host (`RopeDivisors`). */
  readonly ropeDivisors: Readonly<Record<keyof RopeDivisors, RecordPlan | null>>;
  /** Every record in the order it is wanted: what answers need first comes first. */
  readonly records: readonly RecordPlan[];
  /** Bytes of all tensors in the file. */
  readonly fileTensorBytes: number;
}

/** What it takes to run this file. @throws {ModelError} model/*: an unknown architecture, or tensors that don't fit it. */
export function planModel(gguf: Gguf): ModelPlan {
  const description = describe(gguf);
  const { shape, norms } = description;
  checkDescription(description);
  const book = new RecordBook(new TensorShelf(gguf), description.biases);
  const nVocab = gguf.tensors.get('token_embd.weight')?.shape[0] ?? 0;
  const globals = {
    tokenEmbd: book.weight('token_embd', [nVocab, shape.modelDim]),
    input: planInput(book, description),
    outputNorm: norms.output === null ? null : book.norm(norms.output, shape.modelDim),
    output: book.optionalWeight('output', [nVocab, shape.modelDim]),
    ropeDivisors: planDivisors(book, description),
  };
  const layers = description.layers.map((_, layer) => planLayer(book, description, layer));
  book.shelf.finish();
  return {
    description,
    shape,
    nVocab,
    ...globals,
    layers,
    records: [...book.dense, ...book.experts],
    fileTensorBytes: [...gguf.tensors.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

function planInput(book: RecordBook, { shape, input }: ModelDescription): Input<RecordPlan, RecordPlan> {
  const { modelDim, nCtxTrain } = shape;
  const { positions, types, norm } = input;
  return {
    positions: positions === null ? null : book.weight(positions, [nCtxTrain, modelDim]),
    types: types === null ? null : book.optionalFirstRow(types, modelDim),
    norm: norm === null ? null : book.norm(norm, modelDim),
  };
}

/** Those that the model's scaling goes by; of others that are in the file it is said that they have no use. */
function planDivisors(book: RecordBook, { rope, shape }: ModelDescription): ModelPlan['ropeDivisors'] {
  const isLong = rope.tables.some(({ scaling }) => scaling.kind === 'longrope');
  const divisors = (stem: string) => book.optionalWeight(stem, [shape.ropeDim / 2]);
  return {
    always: isLong ? null : divisors('rope_freqs'),
    short: isLong ? divisors('rope_factors_short') : null,
    long: isLong ? divisors('rope_factors_long') : null,
  };
}

function describe({ architecture, metadata }: Gguf): ModelDescription {
  if (metadata.optionalString('general.type') === 'adapter') {
    throw new ModelError('model/adapter', 'The file is an adapter: it changes a model, and is none.', {
      remedy: 'Load the model it was made for, then `model.adapters.add()` it.',
    });
  }
  const known = architectures.find(({ name }) => name === architecture);
  if (known) return known.describe(hyperparameters(metadata, architecture));
  throw new ModelError('model/unsupported-architecture', `The model is a ${architecture}, which Floe can't run yet.`, {
    remedy: `Floe runs ${architectures.map(({ name }) => name).join(', ')}.`,
    details: { architecture },
  });
}

/** The format most weights have: what people call the file. */
export function dominantFormat(plan: ModelPlan): FormatName {
  const elements = new Map<FormatName, number>();
  for (const { format, nRows, rowElements } of plan.records.flatMap(({ matrices }) => matrices)) {
    elements.set(format, (elements.get(format) ?? 0) + nRows * rowElements);
  }
  return [...elements].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'F32';
}

/** Layers with experts: their index among themselves is how the pager, routes and traces count layers. */
export function routedLayers<L extends { readonly experts: object | null }>(layers: readonly L[]): RoutedLayer<L>[] {
  return layers.filter((layer): layer is RoutedLayer<L> => layer.experts !== null);
}

export type RoutedLayer<L extends { readonly experts: object | null }> = L & {
  readonly experts: NonNullable<L['experts']>;
};

/** Whether every layer's experts are chosen from what the layer is given, so that its attention hides their loading. */
export function routesFromInput({ layers }: ModelPlan): boolean {
  return layers.every(({ experts }) => experts?.norm);
}

function checkDescription(description: ModelDescription): void {
  const { shape, layers, norms, attention, residualScale } = description;
  checkAhead(description);
  const { modelDim, nHeads, nKvHeads, headDim, valueDim, ropeDim, nExperts, nRoutedLayers } = shape;
  const refuse = (what: string) => {
    throw new ModelError('model/shape', what, {
      remedy: 'The metadata of this file contradicts itself or is beyond what Floe runs. Download the model again.',
      details: { modelDim, nHeads, nKvHeads, headDim, valueDim, ropeDim },
    });
  };
  if (nHeads % nKvHeads !== 0) refuse(`${nHeads} query heads can't share ${nKvHeads} key-value heads evenly.`);
  if (headDim % 4 !== 0 || headDim > 256) refuse(`Heads of ${headDim}: Floe runs multiples of 4 up to 256.`);
  if (valueDim % 4 !== 0 || valueDim > 256) refuse(`Values of ${valueDim}: Floe runs multiples of 4 up to 256.`);
  if (ropeDim % 2 !== 0) refuse(`${ropeDim} rotated dimensions: they turn in pairs.`);
  if (ropeDim > headDim) refuse(`${ropeDim} rotated dimensions in heads of ${headDim}.`);
  if (attention.latent && attention.latent.plainDim !== headDim - ropeDim)
    refuse(`Latent heads of ${headDim} turn ${ropeDim}.`);
  const sums = [norms.attentionSum, norms.feedForwardSum].some((name) => name !== null);
  if (sums && (residualScale !== 1 || layers.some(({ mlp }) => mlp?.gated))) {
    refuse('A norm of a sum of which a part is scaled: Floe runs none.');
  }
  for (const { experts } of layers) {
    if (!experts) continue;
    if (nExperts === 0) refuse('Layers have experts, and there are none.');
    if (norms.afterFeedForward || norms.feedForwardSum) refuse('A norm behind experts: Floe runs none.');
    if (norms.beforeFeedForward === null) refuse('No norm before experts: Floe runs none.');
    const { groups } = experts.router;
    if (groups && (groups.nGroups > 32 || nExperts % groups.nGroups !== 0)) {
      refuse(`${nExperts} experts in ${groups.nGroups} groups: Floe runs up to 32 equal ones.`);
    }
  }
  if (nRoutedLayers > 0 && !layers.at(-1)!.experts) refuse('Other layers have experts, and the last one has none.');
}

/** Tokens that see ahead make no next one: such a model is for vectors of texts, and must say how they are pooled. */
function checkAhead({ attention, pooling, layers }: ModelDescription): void {
  if (attention.causal) return;
  if (layers.some(({ window }) => window !== null)) throw unsupported('windows of tokens that see ahead');
  if (pooling !== null) return;
  throw new ModelError(
    'model/unsupported-architecture',
    'The tokens of this model see ahead, and its file names no pooling of them (`pooling_type`).',
    {
      remedy: 'Take a conversion that names it: 1 is the mean of all tokens, 2 the first one (CLS), 3 the last one.',
      details: { pooling: null },
    },
  );
}
