/** A layer's records as kernels take them. */
import { GgufError } from '../errors/index.ts';
import type { ExpertSlots } from '../experts/index.ts';
import type { BufferView } from '../gpu/index.ts';
import type { DenseMatrix, ExpertMatrix } from '../kernels/index.ts';
import type { MatrixPlan, RecordPlan } from '../store/index.ts';
import type { LayerPlan } from './planLayer.ts';
import type { Latent, LayerWeights, Linear, Norm } from './weights.ts';

/** Matrices that know which tensors they were made of: adapters go by those. */
export type PlacedMatrix = DenseMatrix & Pick<MatrixPlan, 'sources'>;
export type PlacedExpertMatrix = ExpertMatrix & Pick<MatrixPlan, 'sources'>;

export type PlacedLayer = LayerWeights<
  PlacedMatrix,
  readonly PlacedMatrix[],
  BufferView,
  { readonly gateUp: readonly PlacedExpertMatrix[]; readonly down: PlacedExpertMatrix }
>;

/** Finds what a record became. */
export class Views {
  constructor(private readonly placed: ReadonlyMap<RecordPlan, readonly PlacedMatrix[]>) {}

  matrices(record: RecordPlan): readonly PlacedMatrix[] {
    return this.placed.get(record)!;
  }

  matrix(record: RecordPlan): PlacedMatrix {
    return this.matrices(record)[0]!;
  }

  vector(record: RecordPlan): BufferView {
    requireF32(record);
    return this.matrix(record).record;
  }

  norm({ weight, bias }: Norm<RecordPlan>): Norm<BufferView> {
    return { weight: this.vector(weight), bias: bias && this.vector(bias) };
  }

  linear({ weight, bias }: Linear<RecordPlan, RecordPlan>): Linear<PlacedMatrix, BufferView> {
    return { weight: this.matrix(weight), bias: bias && this.vector(bias) };
  }
}

type Pools = ReturnType<ExpertSlots['poolsOf']>;

export function placeLayer(plan: LayerPlan, views: Views, pools: Pools | null): PlacedLayer {
  const { mlp, experts } = plan;
  return {
    description: plan.description,
    attnNorm: plan.attnNorm && views.norm(plan.attnNorm),
    attention: placeAttention(plan, views),
    attnSinks: plan.attnSinks && views.vector(plan.attnSinks),
    attnOutput: views.linear(plan.attnOutput),
    afterAttention: plan.afterAttention && views.norm(plan.afterAttention),
    attentionSum: plan.attentionSum && views.norm(plan.attentionSum),
    ffnNorm: plan.ffnNorm && views.norm(plan.ffnNorm),
    mlp: mlp && {
      up: { weight: views.matrices(mlp.up.weight), bias: mlp.up.bias && views.vector(mlp.up.bias) },
      down: views.linear(mlp.down),
      gate: mlp.gate && views.matrix(mlp.gate),
    },
    afterFeedForward: plan.afterFeedForward && views.norm(plan.afterFeedForward),
    feedForwardSum: plan.feedForwardSum && views.norm(plan.feedForwardSum),
    experts: experts && placeExperts(experts, views, pools!),
  };
}

function placeAttention({ attention }: LayerPlan, views: Views): PlacedLayer['attention'] {
  if (attention.kind === 'latent') return placeLatent(attention, views);
  const { kind, qkv, bias, norms } = attention;
  return {
    kind,
    qkv: views.matrices(qkv),
    bias: bias && views.vector(bias),
    norms: norms && { q: views.vector(norms.q), k: views.vector(norms.k) },
  };
}

function placeLatent(plan: Latent<RecordPlan, RecordPlan>, views: Views): Latent<PlacedMatrix, BufferView> {
  const { kind, queryLatent, up } = plan;
  return {
    kind,
    queryLatent: queryLatent && { down: views.matrix(queryLatent.down), norm: views.vector(queryLatent.norm) },
    q: views.matrix(plan.q),
    down: views.matrix(plan.down),
    rope: views.matrix(plan.rope),
    norm: views.vector(plan.norm),
    up:
      up.kind === 'apart'
        ? { kind: up.kind, keys: views.matrix(up.keys), values: views.matrix(up.values) }
        : { kind: up.kind, keysValues: views.matrix(up.keysValues) },
  };
}

function placeExperts(
  { norm, gateInp, selectionBias, biases, records }: NonNullable<LayerPlan['experts']>,
  views: Views,
  pools: Pools,
): PlacedLayer['experts'] {
  const matrices = records[0]!.matrices.map((matrix): PlacedExpertMatrix => ({ ...matrix, ...pools }));
  return {
    norm: norm && views.norm(norm),
    gateInp: views.linear(gateInp),
    selectionBias: selectionBias && views.vector(selectionBias),
    biases: biases && {
      gate: views.vector(biases.gate),
      up: views.vector(biases.up),
      down: views.vector(biases.down),
    },
    gateUp: matrices.slice(0, -1),
    down: matrices.at(-1)!,
  };
}

/** @throws {GgufError} `gguf/unsupported-type`. */
export function requireF32(record: RecordPlan): void {
  const { format } = record.matrices[0]!;
  if (format === 'F32') return;
  throw new GgufError(
    'gguf/unsupported-type',
    `${record.key} is ${format}; norms, biases and frequencies are F32 in every GGUF.`,
    {
      remedy: 'Convert the model again with a current converter.',
      details: { tensor: record.key, type: format },
    },
  );
}
