/** The tokenizer's files as GGUF's metadata. */
import { bool, type Entries, type Entry, floats, integers, text, texts, u32 } from './entries.ts';
import { isCount, isObject, type JsonReader } from './json.ts';
import { readSentencePiece } from './sentencePiece.ts';
import { readTokenizerJson } from './tokenizerJson.ts';
import { addedToken, addTokens, type Piece, TokenType, type Vocabulary, vocabularyError } from './vocabulary.ts';

/** What a folder has of a tokenizer: one of the first two, and perhaps the others. */
export interface TokenizerFiles {
  readonly tokenizerJson: Uint8Array | null;
  readonly sentencePiece: Uint8Array | null;
  /** tokenizer_config.json. */
  readonly settings: JsonReader | null;
  /** chat_template.jinja. */
  readonly chatTemplate: string | null;
}

/** `tokenizer.*`. `nVocab` is how many rows the embedding has: ids without a token are filled up to it. */
export function tokenizerEntries(files: TokenizerFiles, config: JsonReader, nVocab: number): Entries {
  const { settings } = files;
  const vocabulary = readVocabulary(files);
  const { model, pre, merges } = vocabulary;
  const pieces = filled(vocabulary.pieces, nVocab);
  const ids = new Map(pieces.map(({ text }, id) => [text, id]));
  const special = (name: string) => specialId(name, settings, config, ids);
  const [eos, ...otherEnds] = endIds(settings, config, ids);
  return {
    'tokenizer.ggml.model': text(model),
    'tokenizer.ggml.pre': text(pre ?? undefined),
    'tokenizer.ggml.tokens': texts(pieces.map((piece) => piece.text)),
    'tokenizer.ggml.token_type': integers(Int32Array.from(pieces, ({ type }) => type)),
    'tokenizer.ggml.scores': model === 'llama' ? floats(Float32Array.from(pieces, ({ score }) => score)) : undefined,
    'tokenizer.ggml.merges': model === 'gpt2' ? texts(merges) : undefined,
    'tokenizer.ggml.bos_token_id': u32(special('bos')),
    'tokenizer.ggml.eos_token_id': u32(eos),
    'tokenizer.ggml.eot_token_id': u32(otherEnds[0]),
    'tokenizer.ggml.eom_token_id': u32(otherEnds[1]),
    'tokenizer.ggml.unknown_token_id': u32(special('unk')),
    'tokenizer.ggml.padding_token_id': u32(special('pad')),
    'tokenizer.ggml.add_bos_token': flag(settings, 'add_bos_token', vocabulary.addBos),
    'tokenizer.ggml.add_eos_token': flag(settings, 'add_eos_token', vocabulary.addEos),
    'tokenizer.ggml.add_space_prefix':
      model === 'llama' ? flag(settings, 'add_prefix_space', vocabulary.addSpacePrefix) : undefined,
    'tokenizer.chat_template': text(files.chatTemplate ?? templateOf(settings)),
  };
}

function readVocabulary({ tokenizerJson, sentencePiece, settings }: TokenizerFiles): Vocabulary {
  if (tokenizerJson) return readTokenizerJson(tokenizerJson);
  const vocabulary = readSentencePiece(sentencePiece!);
  // Tokens that a model has beside SentencePiece's or in their place stand in its settings alone.
  const decoder = settings?.optionalObject('added_tokens_decoder');
  const added = decoder?.entries().map(([id]) => addedToken(decoder.object(id), Number(id))) ?? [];
  addTokens(vocabulary.pieces, added, null);
  return vocabulary;
}

/** As many as there are rows, an unused token for each id that has none. */
function filled(pieces: readonly Piece[], nVocab: number): NonNullable<Piece>[] {
  if (pieces.length > nVocab) {
    throw vocabularyError(`The vocabulary has ${pieces.length} tokens; the embedding has ${nVocab} rows.`, {
      nTokens: pieces.length,
      nVocab,
    });
  }
  return Array.from(
    { length: nVocab },
    (_, id) => pieces[id] ?? { text: `[PAD${id}]`, type: TokenType.unused, score: -10_000 },
  );
}

/** By the text that tokenizer_config.json has for it, else by the id that config.json has. */
function specialId(
  name: string,
  settings: JsonReader | null,
  config: JsonReader,
  ids: ReadonlyMap<string, number>,
): number | undefined {
  const token = settings?.get(`${name}_token`);
  const content = isObject(token) ? token.content : token;
  const known = typeof content === 'string' ? ids.get(content) : undefined;
  return known ?? (name === 'eos' ? undefined : config.optionalCount(`${name}_token_id`));
}

/** config.json may name several tokens that end an answer. */
function endIds(settings: JsonReader | null, config: JsonReader, ids: ReadonlyMap<string, number>): number[] {
  const first = specialId('eos', settings, config, ids);
  const listed = config.get('eos_token_id');
  const others = Array.isArray(listed) ? listed.filter(isCount) : [config.optionalCount('eos_token_id')];
  return [...new Set([first, ...others])].filter((id) => id !== undefined);
}

function flag(settings: JsonReader | null, key: string, otherwise: boolean | null): Entry | undefined {
  return bool(settings?.optionalBool(key) ?? otherwise ?? undefined);
}

/** One template, or several of which one is for chats. */
function templateOf(settings: JsonReader | null): string | undefined {
  const template = settings?.get('chat_template');
  if (!Array.isArray(template)) return settings?.optionalString('chat_template');
  const named = template.find((each) => isObject(each) && each.name === 'default');
  return isObject(named) && typeof named.template === 'string' ? named.template : undefined;
}
