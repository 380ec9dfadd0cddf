/** What of a model a LoRA adapter may change: what is multiplied by a step's activations, and the embedding. */
import { fileRowBytes, formatByName } from '../quant/index.ts';
import type { MatrixPlan, RecordPlan, SourceRange } from '../store/index.ts';
import type { ModelPlan } from './plan.ts';
import type { LayerPlan } from './planLayer.ts';

/** A tensor [nRows, rowElements] of the model; of experts one such for each. */
export interface AdapterTarget {
  readonly kind: 'dense' | 'experts' | 'embedding';
  readonly nRows: number;
  readonly rowElements: number;
  /** Bytes of its beginning in the file, where it is dense: a matrix may be some of its rows. */
  readonly offset: number;
}

/** By the tensor's name in the file. */
export function adapterTargets(plan: ModelPlan): ReadonlyMap<string, AdapterTarget> {
  const targets = new Map<string, AdapterTarget>();
  const note = (kind: AdapterTarget['kind'], matrix: MatrixPlan) => {
    for (const source of matrix.sources) {
      const name = kind === 'experts' ? mergedName(source) : source.tensor;
      const before = targets.get(name);
      targets.set(name, {
        kind,
        nRows: (before?.nRows ?? 0) + rowsOfSource(matrix, source),
        rowElements: matrix.rowElements,
        offset: Math.min(before?.offset ?? source.offset, source.offset),
      });
    }
  };
  for (const layer of plan.layers) {
    for (const { matrices } of multiplied(layer)) for (const matrix of matrices) note('dense', matrix);
    // Those of the first stand for all: the tensors are the same.
    for (const matrix of layer.experts?.records[0]?.matrices ?? []) note('experts', matrix);
  }
  if (plan.output) note('dense', plan.output.matrices[0]!);
  note('embedding', plan.tokenEmbd.matrices[0]!);
  return targets;
}

/** The tensor of all experts that a source of the first is, or would be: Mixtral's first files have a tensor for each. */
export function mergedName({ tensor }: SourceRange): string {
  return tensor.replace(/\.0\.weight$/, '_exps.weight');
}

/** Rows of a matrix that are of one of its sources. */
export function rowsOfSource(
  { format, rowElements }: Pick<MatrixPlan, 'format' | 'rowElements'>,
  { sizeBytes }: SourceRange,
): number {
  return sizeBytes / fileRowBytes(formatByName(format), rowElements);
}

/** Matrices of a layer that `linear()` multiplies by; what is read head by head (`latentKeys`) is none of them. */
function multiplied({ attention, attnOutput, mlp, experts }: LayerPlan): RecordPlan[] {
  const ofAttention =
    attention.kind === 'heads'
      ? [attention.qkv]
      : [
          attention.queryLatent?.down,
          attention.q,
          attention.down,
          attention.rope,
          attention.up.kind === 'joined' ? attention.up.keysValues : null,
        ];
  const all = [...ofAttention, attnOutput.weight, mlp?.up.weight, mlp?.down.weight, mlp?.gate, experts?.gateInp.weight];
  return all.filter((record): record is RecordPlan => Boolean(record));
}
