/**
 * The forward pass in float64, from a GGUF file's bytes: the plainest loops that are right, one token after another. What
 * Floe's GPU code is compared with where llama.cpp can't say (sinks, intermediate values) or rounds more than Floe does.
 */
import { type Gguf, parseHeader } from '../../floe/src/gguf/index.ts';

export interface ReferenceModel {
  readonly gguf: Gguf;
  /** A tensor's weights by its GGUF name, row-major. */
  readonly weights: (name: string) => Float64Array;
  readonly forward: (ids: readonly number[], window?: SinkWindow) => ReferenceOutput;
}

/** Attention with sinks: a query sees `nWindow` keys at most, itself and the first `nSinks` of the stream included. */
export interface SinkWindow {
  readonly nWindow: number;
  readonly nSinks: number;
}

export interface ReferenceOutput {
  /** Behind each token. */
  readonly logits: Float64Array[];
  /** `routes[layer][token]`; empty without experts. */
  readonly routes: Route[][];
}

export interface Route {
  /** Best first. */
  readonly experts: readonly number[];
  readonly weights: readonly number[];
  /** The router's score of the last expert chosen over that of the first one not: rounding may cross a small one. */
  readonly margin: number;
}

export interface ReferenceShape {
  readonly architecture: string;
  readonly nLayers: number;
  readonly modelDim: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly ropeDim: number;
  readonly ropeBase: number;
  readonly normEps: number;
  readonly nExpertsUsed: number;
}

/** Opens the file; weights are dequantized as they are first needed. For arctic, and llama dense or with experts. */
export function referenceModel(bytes: Uint8Array): ReferenceModel {
  const result = parseHeader(bytes, bytes.length);
  if (result.kind !== 'done') throw new Error('the whole file is needed');
  const { gguf } = result;
  const cache = new Map<string, Float64Array>();
  const weights = (name: string) => {
    const known = cache.get(name);
    if (known) return known;
    const tensor = gguf.tensors.get(name);
    if (!tensor) throw new Error(`the model has no ${name}`);
    const fileBytes = bytes.subarray(tensor.offset, tensor.offset + tensor.sizeBytes);
    const made = tensor.format!.dequantize(fileBytes, tensor.nElements);
    cache.set(name, made);
    return made;
  };
  const model: Opened = { gguf, weights, shape: shapeOf(gguf) };
  return { gguf, weights, forward: (ids, window) => forward(model, ids, window) };
}

interface Opened {
  readonly gguf: Gguf;
  readonly weights: (name: string) => Float64Array;
  readonly shape: ReferenceShape;
}

function shapeOf({ architecture, metadata }: Gguf): ReferenceShape {
  if (architecture !== 'arctic' && architecture !== 'llama') throw new Error(`no reference for ${architecture}`);
  const u32 = (key: string) => metadata.u32(`${architecture}.${key}`);
  const [modelDim, nHeads] = [u32('embedding_length'), u32('attention.head_count')];
  const headDim = modelDim / nHeads;
  return {
    architecture,
    nLayers: u32('block_count'),
    modelDim,
    nHeads,
    nKvHeads: u32('attention.head_count_kv'),
    headDim,
    ropeDim: metadata.optionalU32(`${architecture}.rope.dimension_count`) ?? headDim,
    ropeBase: metadata.optionalF32(`${architecture}.rope.freq_base`) ?? 10_000,
    normEps: metadata.f32(`${architecture}.attention.layer_norm_rms_epsilon`),
    nExpertsUsed: metadata.optionalU32(`${architecture}.expert_used_count`) ?? 0,
  };
}

function forward(model: Opened, ids: readonly number[], window: SinkWindow | undefined): ReferenceOutput {
  const { shape, weights, gguf } = model;
  const { nLayers, modelDim } = shape;
  const kvs = Array.from({ length: nLayers }, (): KeysValues => ({ keys: [], values: [] }));
  const routes = Array.from({ length: nLayers }, (): Route[] => []);
  const output = gguf.tensors.has('output.weight') ? 'output.weight' : 'token_embd.weight';

  const logits = ids.map((id) => {
    let x: Float64Array = weights('token_embd.weight').slice(id * modelDim, (id + 1) * modelDim);
    for (let layer = 0; layer < nLayers; layer++) x = block(model, layer, x, kvs[layer]!, routes[layer]!, window);
    return matvec(weights(output), rmsNorm(x, weights('output_norm.weight'), shape.normEps));
  });
  return { logits, routes: shape.nExpertsUsed > 0 ? routes : [] };
}

/** One layer: arctic's experts read the layer's input, Mixtral's what its attention left; a dense llama has none. */
function block(
  { shape, weights, gguf }: Opened,
  layer: number,
  x: Float64Array,
  kv: KeysValues,
  routes: Route[],
  window: SinkWindow | undefined,
): Float64Array {
  const w = (stem: string) => weights(`blk.${layer}.${stem}.weight`);
  const norm = (v: Float64Array, stem: string) => rmsNorm(v, w(stem), shape.normEps);
  const ropeFreqs = gguf.tensors.has('rope_freqs.weight') ? weights('rope_freqs.weight') : null;
  const experts = (v: Float64Array) => {
    const { y, route } = expertMlp(v, w, shape.nExpertsUsed);
    routes.push(route);
    return y;
  };

  const h = norm(x, 'attn_norm');
  kv.keys.push(matvec(w('attn_k'), h));
  kv.values.push(matvec(w('attn_v'), h));
  const attended = add(x, matvec(w('attn_output'), attention(shape, matvec(w('attn_q'), h), kv, ropeFreqs, window)));

  const ffnIn = norm(attended, 'ffn_norm');
  if (shape.architecture === 'arctic') {
    return add(
      add(attended, swiglu(ffnIn, w('ffn_gate'), w('ffn_up'), w('ffn_down'))),
      experts(norm(x, 'ffn_norm_exps')),
    );
  }
  if (shape.nExpertsUsed > 0) return add(attended, experts(ffnIn));
  return add(attended, swiglu(ffnIn, w('ffn_gate'), w('ffn_up'), w('ffn_down')));
}

/** Of each token so far, not rotated: a key's place depends on who looks. */
interface KeysValues {
  readonly keys: Float64Array[];
  readonly values: Float64Array[];
}

/**
 * The newest token's query over the keys it sees, laid side by side and rotated by their places there, which without a
 * window are their positions (Xiao et al., 2024).
 */
function attention(
  { nHeads, nKvHeads, headDim, ropeDim, ropeBase }: ReferenceShape,
  q: Float64Array,
  { keys, values }: KeysValues,
  ropeFreqs: Float64Array | null,
  window: SinkWindow | undefined,
): Float64Array {
  const seen = visible(keys.length - 1, window);
  const rotate = (v: Float64Array, place: number) => rope(v, place, ropeDim, ropeBase, ropeFreqs);
  const y = new Float64Array(nHeads * headDim);
  for (let head = 0; head < nHeads; head++) {
    const kvHead = Math.floor(head / (nHeads / nKvHeads));
    const part = (v: Float64Array, i: number) => v.subarray(i * headDim, (i + 1) * headDim);
    const query = rotate(part(q, head), seen.length - 1);
    const scores = seen.map((t, place) => dot(query, rotate(part(keys[t]!, kvHead), place)) / Math.sqrt(headDim));
    const p = softmax(scores);
    seen.forEach((t, place) => {
      part(values[t]!, kvHead).forEach((value, i) => {
        y[head * headDim + i] = y[head * headDim + i]! + p[place]! * value;
      });
    });
  }
  return y;
}

/** The positions a query at `pos` sees, in order. */
function visible(pos: number, window: SinkWindow | undefined): number[] {
  const all = Array.from({ length: pos + 1 }, (_, t) => t);
  if (!window || all.length <= window.nWindow) return all;
  return [...all.slice(0, window.nSinks), ...all.slice(all.length - (window.nWindow - window.nSinks))];
}

/** Pairs (2i, 2i+1) of the first `ropeDim` turned by place · base^(-2i/ropeDim) / freqs[i]. */
export function rope(
  v: Float64Array,
  place: number,
  ropeDim: number,
  ropeBase: number,
  freqs: Float64Array | null,
): Float64Array {
  const y = v.slice();
  for (let i = 0; i < ropeDim / 2; i++) {
    const angle = (place * ropeBase ** ((-2 * i) / ropeDim)) / (freqs?.[i] ?? 1);
    const [a, b] = [v[2 * i]!, v[2 * i + 1]!];
    y[2 * i] = a * Math.cos(angle) - b * Math.sin(angle);
    y[2 * i + 1] = a * Math.sin(angle) + b * Math.cos(angle);
  }
  return y;
}

/** Σ over the chosen experts of weight · swiglu: a softmax over their scores alone is one over all, made to sum to 1. */
function expertMlp(x: Float64Array, w: (stem: string) => Float64Array, nExpertsUsed: number) {
  const scores = matvec(w('ffn_gate_inp'), x);
  const order = Array.from(scores, (_, expert) => expert).sort((a, b) => scores[b]! - scores[a]! || a - b);
  const experts = order.slice(0, nExpertsUsed);
  const weights = softmax(experts.map((expert) => scores[expert]!));
  const next = order[nExpertsUsed];
  const margin = next === undefined ? Infinity : scores[experts.at(-1)!]! - scores[next]!;

  const slice = (stem: string, expert: number) => {
    const all = w(stem);
    const size = all.length / scores.length;
    return all.subarray(expert * size, (expert + 1) * size);
  };
  let y = new Float64Array(x.length);
  experts.forEach((expert, i) => {
    const [gate, up, down] = ['ffn_gate_exps', 'ffn_up_exps', 'ffn_down_exps'].map((stem) => slice(stem, expert));
    y = add(
      y,
      swiglu(x, gate!, up!, down!).map((value) => value * weights[i]!),
    );
  });
  return { y, route: { experts, weights: [...weights], margin } };
}

/** down · (silu(gate · x) ∘ (up · x)) */
export function swiglu(x: Float64Array, gate: Float64Array, up: Float64Array, down: Float64Array): Float64Array {
  const u = matvec(up, x);
  return matvec(
    down,
    matvec(gate, x).map((g, i) => (g / (1 + Math.exp(-g))) * u[i]!),
  );
}

/** x / sqrt(mean(x²) + eps) ∘ weight */
export function rmsNorm(x: Float64Array, weight: Float64Array, eps: number): Float64Array {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + eps);
  return x.map((value, i) => value * scale * weight[i]!);
}

/** y[N] = weight[N, K] · x[K] */
export function matvec(weight: Float64Array, x: Float64Array): Float64Array<ArrayBuffer> {
  const K = x.length;
  return Float64Array.from({ length: weight.length / K }, (_, row) => dot(weight.subarray(row * K, (row + 1) * K), x));
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function add(a: Float64Array, b: Float64Array): Float64Array<ArrayBuffer> {
  return Float64Array.from(a, (value, i) => value + b[i]!);
}

export function softmax(scores: ArrayLike<number>): Float64Array {
  const max = Math.max(...Array.from(scores));
  const p = Float64Array.from(scores, (score) => Math.exp(score - max));
  const total = p.reduce((sum, value) => sum + value, 0);
  return p.map((value) => value / total);
}
