import type { FormatName } from '../../floe/src/quant/index.ts';
import { type MetadataInput, type TensorInput, writeGguf } from './ggufWriter.ts';
import { type RandomModelOptions, randomMetadata, randomTensors } from './randomModel.ts';
import { seeded } from './seeded.ts';

export interface RandomAdapterOptions {
  readonly seed: number;
  readonly rank: number;
  readonly alpha: number;
  /** Which tensors of the model it changes, by name; default: every matrix but those of latent keys and values. */
  readonly only?: RegExp;
  /** Of its matrices; default F32. */
  readonly type?: FormatName;
  /** In place of its own. */
  readonly metadata?: Readonly<Record<string, MetadataInput>>;
  /** What becomes of its tensors before they are written: for files that are wrong. */
  readonly edit?: (tensors: TensorInput[]) => readonly TensorInput[];
}

const EMBEDDING = 'token_embd.weight';
const NO_MATRIX = /norm|token_types|position_embd|_[kv]_b\.|\.bias$|sinks|rope|_shexp/;

/**
 * A LoRA adapter of a random model, with random pairs for its matrices, experts included: large enough that leaving one out,
 * or applying it twice, shows in the output. The seed and a tensor's name decide its weights.
 */
export function randomAdapter(model: RandomModelOptions, options: RandomAdapterOptions): Uint8Array {
  const { alpha, edit = (tensors: TensorInput[]) => tensors, metadata = {} } = options;
  return writeGguf({
    metadata: {
      'general.architecture': model.architecture,
      'general.type': 'adapter',
      'adapter.type': 'lora',
      'adapter.lora.alpha': { f32: alpha },
      ...metadata,
    },
    tensors: edit(changedBy(model, options).flatMap((tensor) => pairOf(tensor, options))),
  });
}

/** The model with what the adapter adds put into its F32 weights: W + alpha / rank · B A. */
export function mergedModel(model: RandomModelOptions, options: RandomAdapterOptions): Uint8Array {
  return writeGguf({ metadata: randomMetadata(model), tensors: mergedTensors(model, options) });
}

/** Its tensors. */
export function mergedTensors(model: RandomModelOptions, options: RandomAdapterOptions): TensorInput[] {
  const changed = new Set(changedBy(model, options).map(({ name }) => name));
  return randomTensors(model).map((tensor) => (changed.has(tensor.name) ? merged(tensor, options) : tensor));
}

function merged(tensor: TensorInput, options: RandomAdapterOptions): TensorInput {
  const { rank, alpha } = options;
  const [a, b] = pairOf(tensor, options) as [TensorInput, TensorInput];
  const [nOut, nIn] = tensor.shape.slice(-2) as [number, number];
  const data = Float64Array.from(tensor.data, (weight, i) => {
    const [expert, row, column] = [Math.floor(i / (nOut * nIn)), Math.floor(i / nIn) % nOut, i % nIn];
    let sum = 0;
    for (let r = 0; r < rank; r++) {
      sum +=
        tensor.name === EMBEDDING
          ? b.data[column * rank + r]! * a.data[row * rank + r]!
          : b.data[(expert * nOut + row) * rank + r]! * a.data[(expert * rank + r) * nIn + column]!;
    }
    return weight + (alpha / rank) * sum;
  });
  return { ...tensor, data };
}

function changedBy(model: RandomModelOptions, { only = /./ }: RandomAdapterOptions): TensorInput[] {
  return randomTensors(model).filter(({ name }) => !NO_MATRIX.test(name) && only.test(name));
}

/** Of the embedding [nVocab, D], A is [nVocab, rank] and B [D, rank]; of all others A is [rank, in] and B [out, rank]. */
function pairOf({ name, shape }: TensorInput, { seed, rank, type = 'F32' }: RandomAdapterOptions): TensorInput[] {
  const [nIn, nOut] = [shape.at(-1)!, shape.at(-2)!];
  const experts = shape.slice(0, -2);
  const isEmbedding = name === EMBEDDING;
  const make = (half: 'a' | 'b', dims: readonly number[], deviation: number): TensorInput => {
    const full = `${name}.lora_${half}`;
    const n = dims.reduce((product, dim) => product * dim, 1);
    return { name: full, shape: dims, type, data: seeded(seed).fork(full).normals(n, deviation) };
  };
  return isEmbedding
    ? [make('a', [nOut, rank], 1), make('b', [nIn, rank], 0.3 / Math.sqrt(rank))]
    : [
        make('a', [...experts, rank, nIn], 1 / Math.sqrt(nIn)),
        make('b', [...experts, nOut, rank], 0.3 / Math.sqrt(rank)),
      ];
}
