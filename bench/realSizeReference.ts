/**
 * The forward pass of a virtual Arctic in float64, a few rows of a matrix at a time: what shows that the right bytes of
 * a file of gigabytes were multiplied, which two runs of Floe that agree don't.
 */
import { rmsNorm, rope, softmax } from '@floe/testkit/referenceModel';
import type { VirtualModel } from '@floe/testkit/virtualModel';
import { halfToNumber } from '../packages/floe/src/quant/index.ts';

/** Of the header this model gets (`virtualModel()`). */
const NORM_EPS = 1e-5;
const ROPE_BASE = 10_000;
const ROWS_AT_ONCE = 256;

type Rows = Float64Array[];

/** The logits behind each of `ids`, by the plainest way through every layer. */
export function referenceLogits(model: VirtualModel, ids: readonly number[]): Rows {
  const tokenEmbd = (id: number) => readRows(model, 'token_embd', id, 1)[0]!;
  let x = ids.map(tokenEmbd);
  for (let layer = 0; layer < model.nLayers; layer++) x = denseBesideExperts(model, `blk.${layer}.`, x);
  return multiply(model, 'output', norm(model, 'output_norm', x));
}

/** x + attention, + the dense MLP of that, + the experts of the layer's input (ArcticDecoderLayer). */
function denseBesideExperts(model: VirtualModel, blk: string, x: Rows): Rows {
  const experts = expertMlp(model, blk, norm(model, `${blk}ffn_norm_exps`, x));
  const attended = add(x, attention(model, blk, norm(model, `${blk}attn_norm`, x)));
  const dense = swiglu(model, blk, '', 0, norm(model, `${blk}ffn_norm`, attended));
  return add(add(attended, dense), experts);
}

function attention(model: VirtualModel, blk: string, h: Rows): Rows {
  const { modelDim, nHeads, nKvHeads } = model.shape;
  const headDim = modelDim / nHeads;
  const heads = (v: Float64Array) =>
    Array.from({ length: v.length / headDim }, (_, head) => v.subarray(head * headDim, (head + 1) * headDim));
  const rotated = (v: Float64Array, pos: number) => heads(v).map((head) => rope(head, pos, headDim, ROPE_BASE, null));
  const queries = multiply(model, `${blk}attn_q`, h).map(rotated);
  const keys = multiply(model, `${blk}attn_k`, h).map(rotated);
  const values = multiply(model, `${blk}attn_v`, h).map(heads);
  const mixed = queries.map((query, pos) => {
    const y = new Float64Array(modelDim);
    query.forEach((q, head) => {
      const kvHead = Math.floor(head / (nHeads / nKvHeads));
      const p = softmax(keys.slice(0, pos + 1).map((key) => dot(q, key[kvHead]!) / Math.sqrt(headDim)));
      p.forEach((share, t) => {
        const into = y.subarray(head * headDim, (head + 1) * headDim);
        addScaled(into, values[t]![kvHead]!, share);
      });
    });
    return y;
  });
  return multiply(model, `${blk}attn_output`, mixed);
}

/** The two best experts of each token, weighted by a softmax over their two scores. */
function expertMlp(model: VirtualModel, blk: string, h: Rows): Rows {
  const scores = multiply(model, `${blk}ffn_gate_inp`, h);
  return h.map((row, t) => {
    const score = (expert: number) => scores[t]![expert]!;
    const order = Array.from(scores[t]!, (_, expert) => expert).sort((a, b) => score(b) - score(a) || a - b);
    const chosen = order.slice(0, model.shape.nExpertsUsed);
    const weights = softmax(chosen.map(score));
    const y = new Float64Array(row.length);
    chosen.forEach((expert, i) => {
      addScaled(y, swiglu(model, blk, '_exps', expert, [row])[0]!, weights[i]!);
    });
    return y;
  });
}

/** down · (silu(gate · h) ∘ (up · h)) */
function swiglu(model: VirtualModel, blk: string, suffix: string, expert: number, h: Rows): Rows {
  const times = (stem: string, v: Rows) => multiply(model, `${blk}${stem}${suffix}`, v, expert);
  const up = times('ffn_up', h);
  const inner = times('ffn_gate', h).map((row, t) => row.map((g, i) => (g / (1 + Math.exp(-g))) * up[t]![i]!));
  return times('ffn_down', inner);
}

function norm(model: VirtualModel, stem: string, x: Rows): Rows {
  const [weight] = readRows(model, stem, 0, 1);
  return x.map((row) => rmsNorm(row, weight!, NORM_EPS));
}

/** weight · v for each v; of a merged tensor, expert `expert`'s weight. Each row is unpacked once for all v. */
function multiply(model: VirtualModel, stem: string, v: Rows, expert = 0): Rows {
  const nRows = tensorOf(model, stem).shape.at(-2)!;
  const y = v.map(() => new Float64Array(nRows));
  for (let row = 0; row < nRows; row += ROWS_AT_ONCE) {
    const weights = readRows(model, stem, expert * nRows + row, Math.min(ROWS_AT_ONCE, nRows - row));
    weights.forEach((weight, i) => {
      v.forEach((input, t) => {
        y[t]![row + i] = dot(weight, input);
      });
    });
  }
  return y;
}

function tensorOf({ tensors }: VirtualModel, stem: string) {
  const tensor = tensors.find(({ name }) => name === `${stem}.weight`);
  if (!tensor) throw new Error(`the model has no ${stem}`);
  return tensor;
}

/** Rows `first` to `first + n - 1`, unpacked; a merged tensor's experts lie one behind the other. */
function readRows(model: VirtualModel, stem: string, first: number, n: number): Rows {
  const { offset, shape, kind } = tensorOf(model, stem);
  const K = shape.at(-1)!;
  const rowBytes = kind.type === 'F32' ? 4 * K : (K / 32) * 18;
  const bytes = model.bytesAt(offset + first * rowBytes, n * rowBytes);
  return Array.from({ length: n }, (_, i) => {
    const row = bytes.subarray(i * rowBytes, (i + 1) * rowBytes);
    return kind.type === 'F32' ? Float64Array.from(new Float32Array(bytes.buffer, i * rowBytes, K)) : unpackQ4(row, K);
  });
}

/** As `quant/q4_0.ts` says, without its calls for each weight: there are a billion. */
function unpackQ4(bytes: Uint8Array, nElements: number): Float64Array {
  const weights = new Float64Array(nElements);
  for (let block = 0; block < nElements / 32; block++) {
    const at = 18 * block;
    const d = halfToNumber(bytes[at]! | (bytes[at + 1]! << 8));
    for (let j = 0; j < 16; j++) {
      const nibbles = bytes[at + 2 + j]!;
      weights[32 * block + j] = d * ((nibbles & 15) - 8);
      weights[32 * block + 16 + j] = d * ((nibbles >> 4) - 8);
    }
  }
  return weights;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function addScaled(y: Float64Array, x: Float64Array, factor: number): void {
  for (let i = 0; i < y.length; i++) y[i]! += factor * x[i]!;
}

function add(a: Rows, b: Rows): Rows {
  return a.map((row, t) => row.map((value, i) => value + b[t]![i]!));
}
