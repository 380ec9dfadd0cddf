/** One layer's walk over its kernels. Which of these parts it has, its weights say: none of them asks for a name. */
import type { BufferView } from '../gpu/index.ts';
import { addBias, gelu } from '../kernels/index.ts';
import { attend } from './attend.ts';
import { gatedLinear } from './gated.ts';
import { linear, stackedLinear } from './linear.ts';
import { norm, normed } from './norm.ts';
import { routeTokens } from './router.ts';
import { type LayerStep, type Routing, staged } from './step.ts';
import { addToStream } from './stream.ts';

/**
 * Up to the choice of experts, which is the last dispatch: x += attention(x), then a norm of x; or, where experts read
 * the layer's input, a norm of that alone, so that an absent one loads while attention and the MLP run.
 */
export function chooseExperts(step: LayerStep, routing: Routing): void {
  const { w, s } = step;
  const early = w.experts!.norm;
  if (!early) attend(step);
  norm(staged(step), s.x, early ?? w.ffnNorm!, s.expertIn); // [T, modelDim]
  routeTokens(staged(step), w, { ...routing, x: s.expertIn, logits: s.routerLogits, layer: step.routedLayer }); // [T, k]
}

/** What of the layer needs no experts and was not there yet: x += attention(x), x += mlp(x). */
export function restOfLayer(step: LayerStep): void {
  const { w, s } = step;
  // What experts were chosen from, if they read what attention left, is what the MLP reads too.
  const isAttended = w.experts !== null && w.experts.norm === null;
  if (isAttended) {
    if (w.mlp) mlp(step, s.expertIn);
    return;
  }
  attend(step);
  feedForward(step);
}

/** x += mlp(norm(x)), where the layer has one. */
export function feedForward(step: LayerStep): void {
  const { w, s } = step;
  if (w.mlp) mlp(step, normed(staged(step), s.x, w.ffnNorm, s.h)); // [T, modelDim]
}

/** x += Wdown · activation(h). */
function mlp(step: LayerStep, h: BufferView): void {
  const { rec, w, s, nTokens } = step;
  const { up, down, gate } = w.mlp!;
  const here = staged(step);
  const { activation, dim } = w.description.mlp!;
  if (activation === 'gelu') {
    const at = { y: s.ff, nTokens, dim, stage: here.stage };
    stackedLinear(here, { x: h, w: up.weight, y: s.ff }); // [T, ffDim]
    if (up.bias) addBias(rec, { values: up.bias, rowDim: dim }, at);
    gelu(rec, at);
  } else {
    gatedLinear(here, { x: h, w: up.weight, y: s.ff, activation }); // [T, ffDim]
  }
  if (gate) linear(here, { x: h, w: gate, y: s.mlpGate! }); // [T, 1]
  const gated = gate && s.mlpGate;
  addToStream(step, s.ff, down, { after: w.afterFeedForward, sum: w.feedForwardSum, gate: gated }); // [T, modelDim]
}
