/** What the commands need of Floe: `floe/node`, or a stand-in of the tests. */
import type { LoadOptions, Model } from '../../floe/src/api/types.ts';

/** A URL, or a path on this machine. */
export type Source = string | { readonly path: string };

export interface TensorEntry {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  readonly sizeBytes: number;
  readonly offset: number;
}

export interface Inspection {
  readonly version: number;
  readonly architecture: string;
  readonly metadata: readonly (readonly [key: string, value: unknown])[];
  readonly tensors: readonly TensorEntry[];
  readonly sizeBytes: number;
}

export interface Tokenizer {
  tokenize(text: string, options: { readonly special: boolean }): number[];
}

export interface Runtime {
  loadModel(source: Source, options: LoadOptions): Promise<Model>;
  inspectModel(source: Source): Promise<Inspection>;
  openTokenizer(source: Source): Promise<Tokenizer>;
}
