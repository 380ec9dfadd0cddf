/** What steps write between an adapter's two matrices. */
import { rowStride } from '../quant/index.ts';
import type { MatrixPlan, SourceRange } from '../store/index.ts';
import type { AdapterPlan } from './adapterPlan.ts';
import { mergedName } from './adapterTargets.ts';
import type { ModelPlan } from './plan.ts';
import { hasGateApart, keepsExpertGateUp } from './planLayer.ts';
import type { StepSizes } from './stepSizes.ts';

/** Bytes of each buffer that adapters which act write to between their matrices, by its name. */
export function betweenBytes(
  { layers, shape }: ModelPlan,
  { chunkTokens, spanTokens, logitRows }: StepSizes,
  adapters: readonly AdapterPlan[],
): Map<string, number> {
  const nRankPairs = spanTokens * shape.nExpertsUsed;
  const needed = new Map<string, number>();
  const need = (name: string, nRows: number, dim: number) => needed.set(name, nRows * rowStride(dim) * 4);
  for (const { target, rank } of adapters.flatMap(({ pairs }) => pairs)) {
    if (target.kind === 'experts') need(`expert low ${rank}`, nRankPairs, rank);
    else need(`low ${rank}`, Math.max(chunkTokens, logitRows), rank);
  }
  const gateUps = layers.flatMap(({ mlp }) => mlp?.up.weight.matrices ?? []);
  if (!layers.some(hasGateApart) && gateUps.some((matrix) => changes(adapters, 'dense', matrix))) {
    need('gate up', chunkTokens, 2 * shape.ffDim);
  }
  const experts = layers.flatMap(({ experts }) => experts?.records[0]?.matrices ?? []);
  if (experts.some((matrix) => changes(adapters, 'experts', matrix))) {
    needed.set('present', nRankPairs * 4);
    if (!layers.some(keepsExpertGateUp)) need('expert gate up', nRankPairs, 2 * shape.expertDim);
  }
  return needed;
}

/** Whether any has a pair for a tensor that this matrix is made of. */
function changes(adapters: readonly AdapterPlan[], kind: 'dense' | 'experts', { sources }: MatrixPlan): boolean {
  const nameOf = kind === 'dense' ? ({ tensor }: SourceRange) => tensor : mergedName;
  const names = new Set(sources.map(nameOf));
  return adapters.some(({ pairs }) => pairs.some(({ target, tensor }) => target.kind === kind && names.has(tensor)));
}
