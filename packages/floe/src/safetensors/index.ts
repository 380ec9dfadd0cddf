export { invalid as invalidFile, missingFile } from './fail.ts';
export { FIRST_BYTES, readHeader } from './header.ts';
export {
  CONFIG_FILE,
  describeModel,
  SETTINGS_FILE,
  TEMPLATE_FILE,
} from './model.ts';
export { isPlain, type Making, makingOf, type Recipe, recipeBytes, type ShardRange } from './recipe.ts';
export { SENTENCE_PIECE_FILE } from './sentencePiece.ts';
export { INDEX_FILE, joinShards, parseIndex, type Shard, SINGLE_FILE } from './shards.ts';
export { TOKENIZER_FILE } from './tokenizerJson.ts';
