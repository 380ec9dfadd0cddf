/** What the commands need of Floe: `floe/node`, or a stand-in of the tests. */
import type { Inspection, LoadOptions, Model } from 'floe/node';

/** A URL, or a path on this machine. */
export type Source = string | { readonly path: string };

export interface Tokenizer {
  tokenize(text: string, options: { readonly special: boolean }): number[];
}

export interface Runtime {
  loadModel(source: Source, options: LoadOptions): Promise<Model>;
  inspectModel(source: Source): Promise<Inspection>;
  openTokenizer(source: Source): Promise<Tokenizer>;
}
