/** Products by a model's matrices, and what its adapters add to them: without adapters each is one dispatch, a kernel's own. */
import type { BufferView } from '../gpu/index.ts';
import {
  type ExpertMatmulArgs,
  embed,
  expertMatmul,
  type MatmulArgs,
  type Matrix,
  matmul,
  presentExperts,
} from '../kernels/index.ts';
import { rowStride } from '../quant/index.ts';
import type { PlacedExpertMatrix, PlacedMatrix } from './placeLayer.ts';
import type { ExpertStep, Staged } from './step.ts';

export interface LinearArgs extends Pick<MatmulArgs, 'x' | 'y' | 'yStride' | 'yOffset'> {
  readonly w: PlacedMatrix;
  readonly output?: 'store' | 'add';
}

export interface StackedArgs extends Pick<LinearArgs, 'x' | 'y'> {
  readonly w: readonly PlacedMatrix[];
}

/** y[T, N] = W · x, or y += W · x; and Σ scale · B (A x) of the adapters. */
export function linear(step: Staged, args: LinearArgs): void {
  const { rec, nTokens, stage } = step;
  matmul(rec, { ...args, nTokens, stage });
  addDeltas(step, args);
}

function addDeltas({ rec, model, s, nTokens, stage }: Staged, args: LinearArgs): void {
  const { x, w, y, yStride = rowStride(w.nRows), yOffset = 0 } = args;
  const at = { nTokens, stage };
  for (const { a, b, scale, yOffset: row } of model.adapters.deltas(w)) {
    const low = s.adapters.low(a.nRows);
    matmul(rec, { ...at, x, w: a, y: low }); // [T, rank]
    matmul(rec, { ...at, x: low, w: b, y, output: 'add', scale, yStride, yOffset: yOffset + row }); // [T, N]
  }
}

/** y[T, N of all] of x by several matrices, side by side. */
export function stackedLinear(step: Staged, { w, ...args }: StackedArgs): void {
  for (const { part, ...at } of sideBySide(w)) linear(step, { ...args, ...at, w: part });
}

/** Where the product of each of several matrices lies in a row of all of them. */
function sideBySide<M extends Matrix>(w: readonly M[]) {
  const yStride = rowStride(rowsOf(w));
  return w.map((part, i) => ({ part, yStride, yOffset: rowsOf(w.slice(0, i)) }));
}

/** Rows of several matrices. */
export function rowsOf(w: readonly Matrix[]): number {
  return w.reduce((sum, { nRows }) => sum + nRows, 0);
}

/** What adapters add to the tokens' rows of the embedding in x, times its `scale`. */
export function addEmbeddings({ rec, model, s, nTokens, stage }: Staged, x: BufferView, scale: number): void {
  for (const { a, b, scale: own } of model.adapters.embeddingDeltas()) {
    const low = s.adapters.low(a.rowElements);
    embed(rec, { tokens: s.tokens, w: a, x: low, nTokens }); // [T, rank]
    matmul(rec, { x: low, w: b, y: x, output: 'add', scale: own * scale, nTokens, stage }); // [T, modelDim]
  }
}

/** Before the products of a layer's experts: which pairs those that adapters add are for. */
export function findPresent({ rec, model, s, w, route, nTokens, stage }: ExpertStep): void {
  const { gateUp, down } = w.experts!;
  if (![...gateUp, down].some((matrix) => model.adapters.touches('experts', matrix))) return;
  presentExperts(rec, { route, present: s.adapters.present, nTokens, stage });
}

export interface ExpertLinearArgs extends Pick<ExpertMatmulArgs, 'x' | 'y' | 'sharedInput' | 'yStride' | 'yOffset'> {
  readonly w: PlacedExpertMatrix;
}

export interface StackedExpertArgs extends Pick<ExpertLinearArgs, 'x' | 'y' | 'sharedInput'> {
  readonly w: readonly PlacedExpertMatrix[];
}

/** y[T · k, N] of x by the expert of each pair; adapters' matrices are the expert's own. */
export function expertLinear({ rec, model, s, route, nTokens, stage }: ExpertStep, args: ExpertLinearArgs): void {
  const { x, w, y, sharedInput, yStride = rowStride(w.nRows), yOffset = 0 } = args;
  expertMatmul(rec, { ...args, route, nTokens, stage });
  const deltas = model.adapters.expertDeltas(w);
  if (deltas.length === 0) return;
  const byExpert = { route: { ...route, slots: s.adapters.present }, nTokens, stage };
  for (const { a, b, scale, yOffset: row } of deltas) {
    const low = s.adapters.expertLow(a.nRows);
    expertMatmul(rec, { ...byExpert, x, w: a, y: low, sharedInput }); // [T · k, rank]
    const add = { output: 'add', scale, yStride, yOffset: yOffset + row } as const;
    expertMatmul(rec, { ...byExpert, ...add, x: low, w: b, y, sharedInput: false }); // [T · k, N]
  }
}

/** `stackedLinear` of experts: y[T · k, N of all]. */
export function stackedExpertLinear(step: ExpertStep, { w, ...args }: StackedExpertArgs): void {
  for (const { part, ...at } of sideBySide(w)) expertLinear(step, { ...args, ...at, w: part });
}
