/** Vectors of texts, as OpenAI's interface has them. */
export interface EmbeddingsRequest {
  /** A text or several, each with the ids the model wants around it; or their ids, to which nothing is added. */
  readonly input: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  /** The first so many values of each vector, of length 1 again: for models that were trained to be cut. Default: all. */
  readonly dimensions?: number;
  readonly signal?: AbortSignal;
}

export interface EmbeddingsResponse {
  readonly object: 'list';
  /** In the order of the texts. */
  readonly data: readonly {
    readonly object: 'embedding';
    readonly index: number;
    /** Of length 1: the cosine of two is the sum of their products. */
    readonly embedding: readonly number[];
  }[];
  readonly model: string;
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
}
