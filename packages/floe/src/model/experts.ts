/** A layer's experts: what each chosen one says, and what is added of it. */
import type { BufferView } from '../gpu/index.ts';
import { activateExperts, combine, denseStage } from '../kernels/index.ts';
import { gatedExpertLinear } from './gated.ts';
import { expertLinear, findPresent, stackedExpertLinear } from './linear.ts';
import { norm } from './norm.ts';
import { routedLayers } from './plan.ts';
import { routeTokens } from './router.ts';
import type { ExpertStep, LayerStep } from './step.ts';
import type { StepRouting } from './stepActivations.ts';

/** Of each token, what each of its experts says, by rank: those whose slot is known, the others are left as they were. */
export function multiplyExperts(step: ExpertStep & { readonly expertIn: BufferView }): void {
  const { rec, model, s, w, route, nTokens, stage, expertIn } = step;
  const { gateUp, down, biases } = w.experts!;
  const { expertGateUp, expertH, expertOut } = s.experts!.span;
  const { activation } = w.description.experts!;
  const at = { route, nTokens, stage };
  const first = { x: expertIn, w: gateUp, sharedInput: true };
  findPresent(step);
  if (activation !== 'swigluClamped') {
    gatedExpertLinear(step, { ...first, y: expertH, activation }); // [T · k, expertDim]
  } else {
    const { expertDim } = model.plan.shape;
    const [gateBias, upBias] = [biases!.gate, biases!.up];
    stackedExpertLinear(step, { ...first, y: expertGateUp! }); // [T · k, gate | up]
    activateExperts(rec, { ...at, gateUp: expertGateUp!, gateBias, upBias, y: expertH, expertDim }); // [T · k, expertDim]
  }
  expertLinear(step, { x: expertH, w: down, y: expertOut, sharedInput: false }); // [T · k, modelDim]
}

/** x += residualScale · Σ weight · expert. */
export function combineExperts(step: ExpertStep & { readonly x: BufferView }): void {
  const { rec, model, s, w, route, nTokens, stage, x } = step;
  const { shape, description } = model.plan;
  const { renormalise, scale } = w.description.experts!.router;
  combine(rec, {
    outputs: s.experts!.span.expertOut,
    bias: w.experts!.biases?.down ?? null,
    route,
    y: x, // [T, modelDim]
    nTokens,
    modelDim: shape.modelDim,
    renormalise,
    scale: scale * description.residualScale,
    stage,
  });
}

/** A later layer's router on the residual stream as it is now: what it will choose, if not too much is added till then. */
export function guessRoutes(step: LayerStep, { guesses, guessLogits }: StepRouting, ahead: number): void {
  const { model, routedLayer, s } = step;
  const w = routedLayers(model.layers)[routedLayer + ahead];
  if (!w) return;
  const staged = { ...step, stage: denseStage(routedLayer) };
  norm(staged, s.x, w.experts.norm ?? w.ffnNorm!, s.h); // [T, modelDim]
  const to = { route: guesses[routedLayer]!, slots: 'later', layer: routedLayer } as const;
  routeTokens(staged, w, { ...to, x: s.h, logits: guessLogits }); // [T, k]
}
