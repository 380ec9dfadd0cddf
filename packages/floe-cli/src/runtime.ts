/** What the commands need of Floe: `floe/node`, or a stand-in of the tests. */
import type { FetchOptions, Inspection, LoadOptions, LoadPlan, Model, PlanOptions } from 'floe/node';

/** A URL, or a path on this machine. */
export type Source = string | { readonly path: string };

export interface Tokenizer {
  tokenize(text: string, options: { readonly special: boolean }): number[];
}

/** `onTrace` hears the bytes of a routing trace as it is made. */
export type RuntimeLoadOptions = LoadOptions & { readonly onTrace?: (bytes: Uint8Array) => void };

export interface Runtime {
  loadModel(source: Source, options: RuntimeLoadOptions): Promise<Model>;
  planLoad(source: Source, options: PlanOptions): Promise<LoadPlan>;
  inspectModel(source: Source, options: FetchOptions): Promise<Inspection>;
  openTokenizer(source: Source, options: FetchOptions): Promise<Tokenizer>;
}
