/** A layer's attention: queries, keys and values of its input, and what they make of it. */
import type { BufferView } from '../gpu/index.ts';
import {
  addBias,
  attention,
  clampTo,
  denseStage,
  groupNorm,
  latentHeads,
  latentKeys,
  ropeAppend,
} from '../kernels/index.ts';
import { layerWindow } from '../kv/index.ts';
import { rowStride } from '../quant/index.ts';
import { linear, stackedLinear } from './linear.ts';
import { normed } from './norm.ts';
import type { PlacedMatrix } from './placeLayer.ts';
import { type LayerStep, staged } from './step.ts';
import { addToStream } from './stream.ts';
import type { Heads, Latent } from './weights.ts';

/** x += Wo · attention(norm(x)). */
export function attend(step: LayerStep): void {
  appendKeys(step);
  attendKeys(step);
}

/** Queries of norm(x), turned; its keys and values go to the cache. */
export function appendKeys(step: LayerStep): void {
  const { rec, model, layer, w, s } = step;
  const { shape, description } = model.plan;
  const { ropeTable } = description.layers[layer]!;
  const input = normed(staged(step), s.x, w.attnNorm, s.h); // [T, modelDim]
  if (w.attention.kind === 'heads') makeHeads(step, input, w.attention);
  else makeLatent(step, input, w.attention);
  ropeAppend(rec, {
    ...common(step), // q: [T, 2, nHeads, headDim]
    qkv: s.qkv,
    angles: s.angles[ropeTable]!,
    pairs: description.rope.pairs,
    ropeDim: shape.ropeDim,
    qkvStride: s.qkvStride,
  });
}

/** x += Wo · attention of these queries over the cache, in which a text whose tokens see ahead lies up to `lastKey`. */
export function attendKeys(step: LayerStep, lastKey = 0): void {
  const { rec, model, layer, w, kv, s } = step;
  const { shape, description } = model.plan;
  const { scale, softCap } = description.attention;
  attention(rec, {
    ...common(step),
    ...layerWindow(kv.window, description.layers[layer]!.window),
    lastKey,
    y: s.attn, // [T, nHeads, valueDim]
    yStride: rowStride(shape.nHeads * shape.valueDim),
    partials: s.partials,
    scale,
    softCap: softCap ?? 0,
    ...(w.attnSinks ? { sinkLogits: w.attnSinks } : {}),
  });
  addToStream(step, s.attn, w.attnOutput, { after: w.afterAttention, sum: w.attentionSum }); // [T, modelDim]
}

/** What both of these need. */
function common({ model, layer, kv, s, nTokens, routedLayer }: LayerStep) {
  const { shape } = model.plan;
  const qStride = rowStride(shape.nHeads * shape.headDim);
  return { shape, qStride, kv: kv.layer(layer, s.places), q: s.q, nTokens, stage: denseStage(routedLayer) };
}

/** qkv[T, q | k | v] of x, biased, cut and normed as the model has it. */
function makeHeads(step: LayerStep, x: BufferView, w: Heads<readonly PlacedMatrix[], BufferView>): void {
  const { rec, model, s, nTokens, routedLayer } = step;
  const { shape, description } = model.plan;
  const { nHeads, nKvHeads, headDim, valueDim, normEps: eps } = shape;
  const { clamp, qkNorm } = description.attention;
  const stage = denseStage(routedLayer);
  stackedLinear(staged(step), { x, w: w.qkv, y: s.qkv }); // [T, q | k | v]
  const dim = (nHeads + nKvHeads) * headDim + nKvHeads * valueDim;
  const rows = { y: s.qkv, nTokens, stride: s.qkvStride, stage };
  if (w.bias) addBias(rec, { values: w.bias, rowDim: headDim }, { ...rows, dim });
  if (clamp !== null) clampTo(rec, clamp, { ...rows, dim });
  if (!w.norms) return;
  const normed = [
    { weight: w.norms.q, offset: 0, n: nHeads },
    { weight: w.norms.k, offset: nHeads * headDim, n: nKvHeads },
  ];
  for (const { weight, offset, n } of normed) {
    const groups = qkNorm === 'head' ? { nGroups: n, groupDim: headDim } : { nGroups: 1, groupDim: n * headDim };
    groupNorm(rec, { ...rows, ...groups, weight, offset, eps });
  }
}

/** The same of latent vectors (DeepSeek-V2, section 2.1), keys and values written out for each head. */
function makeLatent(step: LayerStep, x: BufferView, w: Latent<PlacedMatrix, BufferView>): void {
  const { rec, model, s, nTokens, routedLayer } = step;
  const { shape, description } = model.plan;
  const { nHeads, ropeDim, valueDim, normEps: eps } = shape;
  const { rank, plainDim } = description.attention.latent!;
  const buffers = s.latent!;
  const stage = denseStage(routedLayer);
  const at = { nTokens, stage };
  const here = staged(step);
  const normed = (y: BufferView, weight: BufferView, groupDim: number) =>
    groupNorm(rec, { ...at, y, weight, nGroups: 1, groupDim, stride: rowStride(groupDim), offset: 0, eps });
  if (w.queryLatent) {
    linear(here, { x, w: w.queryLatent.down, y: buffers.query }); // [T, queryRank]
    normed(buffers.query, w.queryLatent.norm, w.queryLatent.down.nRows);
  }
  linear(here, { x: w.queryLatent ? buffers.query : x, w: w.q, y: buffers.heads }); // [T, nHeads, headDim]
  linear(here, { x, w: w.down, y: buffers.vector }); // [T, rank]
  normed(buffers.vector, w.norm, rank);
  linear(here, { x, w: w.rope, y: buffers.rope }); // [T, ropeDim]
  const both = plainDim + valueDim;
  const joined = { stride: rowStride(nHeads * both), headStride: both };
  let keys = { view: buffers.keys, ...joined };
  let values = { view: buffers.keys, ...joined, offset: plainDim };
  if (w.up.kind === 'joined') {
    linear(here, { x: buffers.vector, w: w.up.keysValues, y: buffers.keys }); // [T, nHeads, key | value]
  } else {
    latentKeys(rec, { ...at, latent: buffers.vector, w: w.up.keys, y: buffers.keys, nHeads }); // [T, nHeads, plainDim]
    linear(here, { x: buffers.vector, w: w.up.values, y: buffers.values }); // [T, nHeads, valueDim]
    keys = { view: buffers.keys, stride: rowStride(nHeads * plainDim), headStride: plainDim };
    values = { view: buffers.values, stride: rowStride(nHeads * valueDim), headStride: valueDim, offset: 0 };
  }
  const heads = { q: buffers.heads, keys, keyRope: buffers.rope, values, qkv: s.qkv, qkvStride: s.qkvStride };
  latentHeads(rec, { ...at, ...heads, nHeads, plainDim, ropeDim, valueDim }); // [T, q | k | v]
}
