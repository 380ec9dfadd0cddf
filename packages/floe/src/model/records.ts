/** Records planned from tensors: which rows of the file lie where in them. */
import { formatByName, planeBytes } from '../quant/index.ts';
import type { MatrixPlan, RecordPlan, SourceRange } from '../store/index.ts';
import type { RunnableTensor, TensorShelf } from './tensors.ts';
import type { Linear, Norm } from './weights.ts';

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

  constructor(
    readonly shelf: TensorShelf,
    /** Stems of matrices that must have a bias. */
    private readonly biased: readonly string[],
  ) {}

  /** The tensor `stem.weight`, by itself. */
  weight(stem: string, shape: readonly number[]): RecordPlan {
    return this.note(record(stem, [matrixOf([this.shelf.take(`${stem}.weight`, shape)])]));
  }

  /** The same, null where the file has none. */
  optionalWeight(stem: string, shape: readonly number[]): RecordPlan | null {
    return this.shelf.has(`${stem}.weight`) ? this.weight(stem, shape) : null;
  }

  /** The first row of `stem.weight`; null where the file has none. Writers of files leave a dimension of 1 out. */
  optionalFirstRow(stem: string, rowElements: number): RecordPlan | null {
    const found = this.shelf.shapeOf(`${stem}.weight`);
    if (!found) return null;
    const nRows = found.length === 1 ? 1 : found[0]!;
    const tensor = this.shelf.take(`${stem}.weight`, found.length === 1 ? [rowElements] : [nRows, rowElements]);
    return this.stack(stem, [rowsOf({ ...tensor, shape: [nRows, rowElements] }, 0, 1)]);
  }

  /** The tensor `stem.bias`, by itself. */
  bias(stem: string, shape: readonly number[]): RecordPlan {
    const name = `${stem}.bias`;
    return this.note(record(name, [matrixOf([this.shelf.take(name, shape)])]));
  }

  /** The same, null where the file has none and none is needed. */
  optionalBias(stem: string, shape: readonly number[]): RecordPlan | null {
    return this.hasBias(stem) ? this.bias(stem, shape) : null;
  }

  hasBias(stem: string): boolean {
    return this.shelf.has(`${stem}.bias`) || this.biased.includes(stem.split('.').at(-1)!);
  }

  norm(stem: string, dim: number): Norm<RecordPlan> {
    return { weight: this.weight(stem, [dim]), bias: this.optionalBias(stem, [dim]) };
  }

  linear(stem: string, shape: readonly [nRows: number, rowElements: number]): Linear<RecordPlan, RecordPlan> {
    return { weight: this.weight(stem, shape), bias: this.optionalBias(stem, [shape[0]]) };
  }

  /** Vectors one behind the other, in rows of `rowDim`. */
  vector(key: string, tensors: readonly RunnableTensor[], rowDim: number): RecordPlan {
    const asRows = tensors.map((tensor) => ({ ...tensor, shape: [tensor.nElements / rowDim, rowDim] }));
    return this.note(record(key, [matrixOf(asRows)]));
  }

  /** Matrices of one input, neighbours of one format as one. */
  stack(key: string, tensors: readonly RunnableTensor[]): RecordPlan {
    return this.note(record(key, stacked(tensors)));
  }

  /** Matrices [gate over up, down] of one expert; gate and up each by itself where their formats differ. */
  expert(blk: string, expert: number, gateUp: readonly RunnableTensor[], down: RunnableTensor): RecordPlan {
    const made = record(`${blk}${EXPERT_INFIX}${expert}`, [...stacked(gateUp), matrixOf([down])]);
    this.experts.push(made);
    return made;
  }

  private note(made: RecordPlan): RecordPlan {
    this.dense.push(made);
    return made;
  }
}

/** Matrices [A, B] of an adapter's pair. */
export function pairRecord(key: string, a: RunnableTensor, b: RunnableTensor): RecordPlan {
  return record(key, [matrixOf([a]), matrixOf([b])]);
}

/** Expert `index` of a merged tensor, as a tensor of its own. */
export function sliceOf(tensor: RunnableTensor, index: number, nExperts: number): RunnableTensor {
  const sizeBytes = tensor.sizeBytes / nExperts;
  return { ...tensor, shape: tensor.shape.slice(1), offset: tensor.offset + index * sizeBytes, sizeBytes };
}

/** Rows of a matrix, as a tensor of its own. */
export function rowsOf(tensor: RunnableTensor, first: number, nRows: number): RunnableTensor {
  const [all, rowElements] = tensor.shape as [number, number];
  const rowBytes = tensor.sizeBytes / all;
  const place = { offset: tensor.offset + first * rowBytes, sizeBytes: nRows * rowBytes };
  return { ...tensor, ...place, shape: [nRows, rowElements], nElements: nRows * rowElements };
}

function matrixOf(tensors: readonly RunnableTensor[]): Unplaced {
  const [first] = tensors as [RunnableTensor];
  const rowElements = first.shape.at(-1) ?? 0;
  const sources = tensors.map(({ name, offset, sizeBytes }): SourceRange => ({ tensor: name, offset, sizeBytes }));
  const nRows = tensors.reduce((sum, { shape }) => sum + shape.slice(0, -1).reduce((n, dim) => n * dim, 1), 0);
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
