/** activation(gate) · up: in one dispatch where gate lies over up in one matrix and nothing is added between. */
import { activate, expertMatmul, type GatedOutput, matmul } from '../kernels/index.ts';
import { rowsOf, type StackedArgs, type StackedExpertArgs, stackedExpertLinear, stackedLinear } from './linear.ts';
import type { PlacedExpertMatrix, PlacedMatrix } from './placeLayer.ts';
import { rowsFrom } from './rowsFrom.ts';
import type { ExpertStep, Staged } from './step.ts';

/** What is made of gate and up. */
interface Gated {
  readonly activation: GatedOutput;
}

/** y[T, N / 2], N the rows of gate and up together. */
export function gatedLinear(step: Staged, { x, w, y, activation }: StackedArgs & Gated): void {
  const { rec, model, s, nTokens, stage } = step;
  const [both, up] = w as [PlacedMatrix, PlacedMatrix?];
  if (!up && !model.adapters.touches('dense', both)) {
    matmul(rec, { x, w: both, y, output: activation, nTokens, stage });
    return;
  }
  const gateUp = s.ffGateUp ?? s.adapters.gateUp;
  stackedLinear(step, { x, w: up ? w : [gateThenUp(both)], y: gateUp }); // [T, gate | up]
  activate(rec, { gateUp, y, nRows: nTokens, dim: rowsOf(w) / 2, activation, stage });
}

/** Gate over up with its pieces, each of which has rows of both, cut and put in the order of its rows. */
function gateThenUp(w: PlacedMatrix): PlacedMatrix {
  if (!w.pieces) return w;
  const half = (first: 0 | 1) => w.pieces!.map((piece) => rowsFrom(piece, (first * piece.nRows) / 2, piece.nRows / 2));
  return { ...w, pieces: [...half(0), ...half(1)] };
}

/** y[T · k, N / 2] of each pair's expert. */
export function gatedExpertLinear(step: ExpertStep, { activation, ...args }: StackedExpertArgs & Gated): void {
  const { rec, model, s, route, nTokens, stage } = step;
  const { w, y } = args;
  const [both, up] = w as [PlacedExpertMatrix, PlacedExpertMatrix?];
  if (!up && !model.adapters.touches('experts', both)) {
    expertMatmul(rec, { ...args, w: both, output: activation, route, nTokens, stage });
    return;
  }
  const gateUp = s.experts!.span.expertGateUp ?? s.adapters.expertGateUp;
  stackedExpertLinear(step, { ...args, y: gateUp }); // [T · k, gate | up]
  // Pairs of an expert that has no slot now too: what is made of them is nothing, and is made again when it has.
  const nRows = nTokens * route.nExpertsUsed;
  activate(rec, { gateUp, y, nRows, dim: rowsOf(w) / 2, activation, stage });
}
