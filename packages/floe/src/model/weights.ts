import type { LayerDescription } from './architecture.ts';

/**
 * The weights of a layer, as records before there is a device and as buffers after: `M` is one matrix, `S` several of one
 * input, `V` a vector.
 */
export interface LayerWeights<M, S, V, E> {
  readonly description: LayerDescription;
  /** Of what attention reads; null: of the stream itself. */
  readonly attnNorm: Norm<V> | null;
  readonly attention: Heads<S, V> | Latent<M, V>;
  /** A logit for each query head; null: none is learned. */
  readonly attnSinks: V | null;
  readonly attnOutput: Linear<M, V>;
  /** Of what attention says, before it is added. */
  readonly afterAttention: Norm<V> | null;
  /** Of the stream with that in it. */
  readonly attentionSum: Norm<V> | null;
  /** Before the dense MLP, and before the experts where they have no norm of their own. */
  readonly ffnNorm: Norm<V> | null;
  readonly mlp: Mlp<M, S, V> | null;
  /** Of what the MLP says, before it is added. */
  readonly afterFeedForward: Norm<V> | null;
  readonly feedForwardSum: Norm<V> | null;
  readonly experts: (Router<M, V> & E) | null;
}

/** What makes a token's row of the residual stream, beside its row of the embedding. */
export interface Input<M, V> {
  readonly positions: M | null;
  readonly types: V | null;
  readonly norm: Norm<V> | null;
}

export interface Norm<V> {
  readonly weight: V;
  readonly bias: V | null;
}

export interface Linear<M, V> {
  readonly weight: M;
  readonly bias: V | null;
}

/** Queries, keys and values made of the layer's input. */
export interface Heads<S, V> {
  readonly kind: 'heads';
  /** q over k over v; several matrices where their formats differ. */
  readonly qkv: S;
  /** Of all three, in rows of a head. */
  readonly bias: V | null;
  readonly norms: { readonly q: V; readonly k: V } | null;
}

/** Keys and values made of a latent vector (DeepSeek-V2, section 2.1). */
export interface Latent<M, V> {
  readonly kind: 'latent';
  /** The queries' own latent vector, from which `q` makes them; null where it makes them of the layer's input. */
  readonly queryLatent: { readonly down: M; readonly norm: V } | null;
  readonly q: M;
  /** Of the layer's input, the vector and the part of keys that turns. */
  readonly down: M;
  readonly rope: M;
  readonly norm: V;
  /** Keys and values of the vector: by two matrices, or by one, each head's key and value side by side. */
  readonly up:
    | { readonly kind: 'apart'; readonly keys: M; readonly values: M }
    | { readonly kind: 'joined'; readonly keysValues: M };
}

export interface Mlp<M, S, V> {
  /** Gate over up, without a bias, as two matrices where their formats differ; up alone where its activation has no gate. */
  readonly up: Linear<S, V>;
  readonly down: Linear<M, V>;
  /** [1, modelDim]: the sigmoid of it times the input scales what the MLP says. */
  readonly gate: M | null;
}

export interface Router<M, V> {
  /** Norm of the layer's input; null where `ffnNorm` feeds the experts. */
  readonly norm: Norm<V> | null;
  readonly gateInp: Linear<M, V>;
  /** Added to probabilities for the choice alone. */
  readonly selectionBias: V | null;
  readonly biases: ExpertBiases<V> | null;
}

/** [nExperts, dim] each; small, so they stay on the GPU. */
export interface ExpertBiases<V> {
  readonly gate: V;
  readonly up: V;
  readonly down: V;
}
