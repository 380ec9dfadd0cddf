/** The public face of LoRA adapters. docs/adapters.md */
import type { FetchOptions } from './fetchOptions.ts';

/** A URL, a hub's address, a `File` or `Blob`; in Node a path too. */
export type AdapterSource = string | URL | Blob | { readonly path: string };

export interface AdapterOptions extends FetchOptions {
  /** What the adapter's products are multiplied by, beside the file's own alpha / rank; default 1. */
  readonly scale?: number;
  readonly signal?: AbortSignal;
}

export interface AdapterInfo {
  /** Counted from 1; a model gives none twice. */
  readonly id: number;
  /** The file's own name for itself, or the file's. */
  readonly name: string;
  readonly scale: number;
  /** Tensors of the model that it changes, and the highest rank among them. */
  readonly nTensors: number;
  readonly rank: number;
  /** What its matrices take on the GPU. */
  readonly gpuBytes: number;
}

/** An adapter that acts on a model. */
export interface Adapter extends AdapterInfo {
  /** Weighs it anew, from the next call on; 0 leaves it out and keeps it there. */
  setScale(scale: number): Promise<void>;
  /** Takes it away: from the next call on the model is what it was. A second call does nothing. */
  remove(): Promise<void>;
}

/** LoRA adapters in GGUF, applied while the model stays loaded. */
export interface ModelAdapters {
  /**
   * Reads an adapter and applies it to every call that begins after; those under way end as they began. An address is kept in
   * this origin's storage, like a model. Of a conversation nothing stays cached: its keys were made without the adapter.
   *
   * @throws {ModelError} `model/adapter`: it is no LoRA adapter, it is one of another model, or part of it is missing.
   * `model/adapter-budget`: `budget.gpuBytes` is a number and leaves no room for it.
   * @throws {GgufError} `gguf/*`: the file is broken. {NetError} `net/*`, {StoreError} `store/*`: fetching and keeping it.
   * @example
   * const adapter = await model.adapters.add('https://example.org/sql-lora.gguf', { scale: 0.8 });
   * await adapter.setScale(0.5);
   * await adapter.remove();
   */
  add(source: AdapterSource, options?: AdapterOptions): Promise<Adapter>;
  /** Those that are there, in the order they came. */
  list(): Promise<readonly AdapterInfo[]>;
}
