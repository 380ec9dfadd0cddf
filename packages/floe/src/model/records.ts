/** Records planned from tensors: which rows of the file lie where in them. */
import { ModelError } from '../errors/index.ts';
import { formatByName, planeBytes } from '../quant/index.ts';
import type { MatrixPlan, RecordPlan, SourceRange } from '../store/index.ts';
import type { RunnableTensor, TensorShelf } from './tensors.ts';

/** A matrix without a place in a record. */
export type Unplaced = Omit<MatrixPlan, 'mainOffset' | 'sideOffset'>;

/** In the keys of experts' records, and of no other. */
const EXPERT_INFIX = '.expert.';

/** Whether a record is one expert of one layer, and so may lie elsewhere than on the GPU. */
export function isExpertRecord({ key }: RecordPlan): boolean {
  return key.includes(EXPERT_INFIX);
}

/** Plans records from a shelf's tensors, and keeps them in the order they were planned in: that in which they are wanted. */
export class RecordBook {
  readonly dense: RecordPlan[] = [];
  readonly experts: RecordPlan[] = [];

  constructor(readonly shelf: TensorShelf) {}

  /** The tensor `stem.weight`, by itself. */
  weight(stem: string, shape: readonly number[]): RecordPlan {
    return this.note(record(stem, [matrixOf([this.shelf.take(`${stem}.weight`, shape)])]));
  }

  /** The same, null where the file has none. */
  optionalWeight(stem: string, shape: readonly number[]): RecordPlan | null {
    return this.shelf.has(`${stem}.weight`) ? this.weight(stem, shape) : null;
  }

  /** The tensor `stem.bias`; null where the file has none. */
  optionalBias(stem: string, shape: readonly number[]): RecordPlan | null {
    const name = `${stem}.bias`;
    return this.shelf.has(name) ? this.note(record(name, [matrixOf([this.shelf.take(name, shape)])])) : null;
  }

  /** Matrices of one input, neighbours of one format as one. */
  stack(key: string, tensors: readonly RunnableTensor[]): RecordPlan {
    return this.note(record(key, stacked(tensors)));
  }

  gateUp(key: string, gate: RunnableTensor, up: RunnableTensor): RecordPlan {
    return this.note(record(key, [gateOverUp(gate, up)]));
  }

  expert(blk: string, expert: number, gate: RunnableTensor, up: RunnableTensor, down: RunnableTensor): RecordPlan {
    const made = record(`${blk}${EXPERT_INFIX}${expert}`, [gateOverUp(gate, up), matrixOf([down])]);
    this.experts.push(made);
    return made;
  }

  private note(made: RecordPlan): RecordPlan {
    this.dense.push(made);
    return made;
  }
}

/** Expert `index` of a merged tensor, as a tensor of its own. */
export function sliceOf(tensor: RunnableTensor, index: number, nExperts: number): RunnableTensor {
  const sizeBytes = tensor.sizeBytes / nExperts;
  return { ...tensor, shape: tensor.shape.slice(1), offset: tensor.offset + index * sizeBytes, sizeBytes };
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
