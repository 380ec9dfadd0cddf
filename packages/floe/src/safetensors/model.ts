/** All of a model in safetensors but the weights: what a GGUF of it would say, and how its tensors are made. */
import { ModelError } from '../errors/index.ts';
import { configEntries } from './config.ts';
import type { Entry } from './entries.ts';
import { familyOf } from './families.ts';
import { parseObject } from './json.ts';
import type { Recipe } from './recipe.ts';
import type { PlacedTensor } from './shards.ts';
import { recipesOf } from './tensors.ts';
import { type TokenizerFiles, tokenizerEntries } from './tokenizer.ts';

export const CONFIG_FILE = 'config.json';
export const SETTINGS_FILE = 'tokenizer_config.json';
export const TEMPLATE_FILE = 'chat_template.jinja';

export interface ModelFiles extends Omit<TokenizerFiles, 'settings'> {
  /** config.json. */
  readonly config: Uint8Array;
  /** tokenizer_config.json. */
  readonly settings: Uint8Array | null;
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
}

export interface DescribedModel {
  readonly metadata: readonly (readonly [key: string, entry: Entry])[];
  readonly recipes: readonly Recipe[];
}

/**
 * @throws {ModelError} `model/*`: a family, a setting or a tensor Floe can't run.
 * @throws {SafetensorsError} `safetensors/*`: files that contradict themselves or each other.
 * @throws {TextError} `text/*`: a tokenizer Floe does not read.
 */
export function describeModel(files: ModelFiles): DescribedModel {
  const config = parseObject(CONFIG_FILE, files.config);
  const settings = files.settings && parseObject(SETTINGS_FILE, files.settings);
  const family = familyOf(config);
  const recipes = recipesOf(files.tensors, config, family);
  const embedding = recipes.find(({ name }) => name === 'token_embd.weight');
  if (!embedding) {
    throw new ModelError('model/missing-tensor', 'The files have no tensor model.embed_tokens.weight.', {
      remedy: 'These are not all files of the model, or they are an adapter. Download the model again.',
      details: { tensor: 'model.embed_tokens.weight' },
    });
  }
  const entries = {
    ...configEntries(config, family),
    ...tokenizerEntries({ ...files, settings }, config, embedding.shape[0]!),
  };
  return {
    metadata: Object.entries(entries).flatMap(([key, entry]) => (entry ? [[key, entry] as const] : [])),
    recipes,
  };
}
