/** Requests for vectors of texts, and what is answered, in OpenAI's shapes. */
import { unitVector } from '../generate/index.ts';
import type { ModelPlan } from '../model/index.ts';
import type { Tokenizer } from '../text/index.ts';
import { checkIds, invalid } from './check.ts';
import type { EmbeddingsRequest, EmbeddingsResponse, ModelInfo } from './types.ts';

/** The ids of each text. @throws {RequestError} `request/invalid`: no text, or one without a token; ids the model lacks. */
export function textsOf({ input }: EmbeddingsRequest, tokenizer: Tokenizer, nVocab: number): (readonly number[])[] {
  const texts = listOf(input).map((text) => {
    if (typeof text === 'string') return tokenizer.tokenize(text, { addSpecial: true });
    checkIds(text, nVocab);
    return text;
  });
  const empty = texts.findIndex((ids) => ids.length === 0);
  if (empty >= 0) throw invalid(`input[${empty}]`, 'empty', 'a text of at least one token');
  return texts;
}

function listOf(input: EmbeddingsRequest['input']): readonly (string | readonly number[])[] {
  if (typeof input === 'string') return [input];
  if (!Array.isArray(input) || input.length === 0) throw wrongInput(input);
  if (input.every((item) => typeof item === 'number')) return [input];
  if (input.every((item) => typeof item === 'string')) return input;
  if (input.every((item) => Array.isArray(item))) return input;
  throw wrongInput(input);
}

function wrongInput(input: unknown): Error {
  const found = Array.isArray(input) ? `a list of ${input.length}` : typeof input;
  return invalid('input', found, 'a text, a list of texts, the ids of a text, or a list of such');
}

/** What vectors a model makes; null where it makes none. */
export function embeddingsOf({ shape, description }: ModelPlan): ModelInfo['embeddings'] {
  return description.pooling && { dimensions: shape.modelDim, pooling: description.pooling };
}

/** How many values of a vector are wanted. */
export function dimensionsOf({ dimensions }: EmbeddingsRequest, most: number): number {
  if (dimensions === undefined) return most;
  if (Number.isInteger(dimensions) && dimensions >= 1 && dimensions <= most) return dimensions;
  throw invalid('dimensions', String(dimensions), `a whole number from 1 to ${most}`);
}

export function responseOf(
  model: string,
  vectors: readonly Float32Array[],
  dimensions: number,
  nTokens: number,
): EmbeddingsResponse {
  const cut = (vector: Float32Array) =>
    dimensions === vector.length ? vector : unitVector(vector.subarray(0, dimensions));
  return {
    object: 'list',
    data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: Array.from(cut(vector)) })),
    model,
    usage: { prompt_tokens: nTokens, total_tokens: nTokens },
  };
}
