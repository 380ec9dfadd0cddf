/** Products by a model's matrices, and what its adapters add to them: without adapters each is one dispatch, a kernel's own. */
import type { BufferView } from '../gpu/index.ts';
import {
  activate,
  type DenseMatrix,
  type ExpertMatmulArgs,
  embed,
  expertMatmul,
  type GatedOutput,
  type MatmulArgs,
  matmul,
  presentExperts,
} from '../kernels/index.ts';
import { rowStride } from '../quant/index.ts';
import type { PlacedExpertMatrix, PlacedMatrix } from './placeLayer.ts';
import { rowsFrom } from './rowsFrom.ts';
import type { ExpertStep, Staged } from './step.ts';

export interface LinearArgs extends Pick<MatmulArgs, 'x' | 'y' | 'yStride' | 'yOffset'> {
  readonly w: PlacedMatrix;
  readonly output?: 'store' | 'add';
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

/** y[T, N / 2] = activation(gate) · up, of x by gate stacked over up; in one dispatch where nothing is added between. */
export function gatedLinear(
  step: Staged,
  { x, w, y, activation }: Pick<LinearArgs, 'x' | 'w' | 'y'> & { readonly activation: GatedOutput },
): void {
  const { rec, model, s, nTokens, stage } = step;
  if (!model.adapters.touches('dense', w)) {
    matmul(rec, { x, w, y, output: activation, nTokens, stage });
    return;
  }
  const { gateUp } = s.adapters;
  const yStride = rowStride(w.nRows);
  for (const { rows, yOffset } of gateThenUp(w))
    matmul(rec, { x, w: rows, y: gateUp, yStride, yOffset, nTokens, stage });
  addDeltas(step, { x, w, y: gateUp }); // [T, gate | up]
  activate(rec, { gateUp, y, nRows: nTokens, dim: w.nRows / 2, activation, stage });
}

/** The rows of gate over up where they lie: of a matrix in pieces each has rows of both. */
function gateThenUp(w: DenseMatrix): { readonly rows: DenseMatrix; readonly yOffset: number }[] {
  if (!w.pieces) return [{ rows: w, yOffset: 0 }];
  let first = 0;
  return w.pieces.flatMap((piece) => {
    const n = piece.nRows / 2;
    const halves = [
      { rows: rowsFrom(piece, 0, n), yOffset: first },
      { rows: rowsFrom(piece, n, n), yOffset: first + w.nRows / 2 },
    ];
    first += n;
    return halves;
  });
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
  if (!model.adapters.touches('experts', gateUp) && !model.adapters.touches('experts', down)) return;
  presentExperts(rec, { route, present: s.adapters.present, nTokens, stage });
}

export interface ExpertLinearArgs extends Pick<ExpertMatmulArgs, 'x' | 'y' | 'sharedInput'> {
  readonly w: PlacedExpertMatrix;
}

/** y[T · k, N] of x by the expert of each pair; adapters' matrices are the expert's own. */
export function expertLinear({ rec, model, s, route, nTokens, stage }: ExpertStep, args: ExpertLinearArgs): void {
  const { x, w, y, sharedInput } = args;
  expertMatmul(rec, { ...args, route, nTokens, stage });
  const deltas = model.adapters.expertDeltas(w);
  if (deltas.length === 0) return;
  const byExpert = { route: { ...route, slots: s.adapters.present }, nTokens, stage };
  for (const { a, b, scale, yOffset } of deltas) {
    const low = s.adapters.expertLow(a.nRows);
    expertMatmul(rec, { ...byExpert, x, w: a, y: low, sharedInput }); // [T · k, rank]
    const add = { output: 'add', scale, yStride: rowStride(w.nRows), yOffset } as const;
    expertMatmul(rec, { ...byExpert, ...add, x: low, w: b, y, sharedInput: false }); // [T · k, N]
  }
}

/** `gatedLinear` of experts. */
export function gatedExpertLinear(
  step: ExpertStep,
  { activation, ...args }: ExpertLinearArgs & { readonly activation: GatedOutput },
): void {
  const { rec, model, s, route, nTokens, stage } = step;
  if (!model.adapters.touches('experts', args.w)) {
    expertMatmul(rec, { ...args, output: activation, route, nTokens, stage });
    return;
  }
  const { expertGateUp: gateUp } = s.adapters;
  expertLinear(step, { ...args, y: gateUp }); // [T · k, gate | up]
  // Pairs of an expert that has no slot now too: what is made of them is nothing, and is made again when it has.
  const nRows = nTokens * route.nExpertsUsed;
  activate(rec, { gateUp, y: args.y, nRows, dim: args.w.nRows / 2, activation, stage });
}
