/** tokenizer.json of BPE vocabularies, byte-level ones and SentencePiece's. */
import { isCount, isObject, type Json, JsonReader, parseObject } from './json.ts';
import { scoresOfMerges } from './mergeScores.ts';
import { preTokenizerName } from './preTokenizers.ts';
import {
  type AddedToken,
  addedToken,
  addTokens,
  MAX_ID,
  type Piece,
  TokenType,
  type Vocabulary,
  vocabularyError,
} from './vocabulary.ts';

export const TOKENIZER_FILE = 'tokenizer.json';

const BYTE_TOKEN = /^<0x[0-9A-F]{2}>$/;
/** Normalizations that llama.cpp leaves out of these vocabularies, and so do we. */
const UNHEARD = ['NFC'];

/** @throws {TextError} `text/*`: a vocabulary of another kind, or one that contradicts itself. */
export function readTokenizerJson(bytes: Uint8Array): Vocabulary {
  const file = parseObject(TOKENIZER_FILE, bytes);
  const model = file.object('model');
  const type = model.optionalString('type') ?? 'BPE';
  if (type !== 'BPE') throw vocabularyError(`The tokenizer is ${type}; from tokenizer.json Floe reads BPE.`, { type });
  const isSentencePiece = model.optionalBool('byte_fallback') ?? false;
  const unknown = model.optionalString('unk_token') ?? null;
  const pieces = readPieces(model, isSentencePiece, unknown);
  const merges = readMerges(model);
  const added = addedTokens(file);
  const ends = endsOf(file.get('post_processor'));
  if (!isSentencePiece) {
    checkNormalizer(file.get('normalizer'));
    addTokens(pieces, added, unknown);
    const pre = preTokenizerName(file.get('pre_tokenizer'), model.optionalBool('ignore_merges') ?? false);
    const lines = merges.map(([left, right]) => `${left} ${right}`);
    return { model: 'gpt2', pieces, pre, merges: lines, ...ends, addSpacePrefix: null };
  }
  return {
    model: 'llama',
    pieces: withScores(pieces, merges, added, unknown),
    pre: null,
    merges: [],
    ...ends,
    addSpacePrefix: hasSpacePrefix(file),
  };
}

function readPieces(model: JsonReader, isSentencePiece: boolean, unknown: string | null): Piece[] {
  const pieces: Piece[] = [];
  for (const [text, id] of model.object('vocab').entries()) {
    if (!isCount(id) || id > MAX_ID) throw model.object('vocab').wrong(text, 'a token id');
    if (pieces[id]) throw vocabularyError(`'${pieces[id].text}' and '${text}' have the same id, ${id}.`, { id });
    const isByte = isSentencePiece && BYTE_TOKEN.test(text);
    const type = isByte ? TokenType.byte : isSentencePiece && text === unknown ? TokenType.unknown : TokenType.normal;
    pieces[id] = { text, type, score: 0 };
  }
  return pieces;
}

/** A merge is a line or, where pieces may have spaces, a pair. */
function readMerges(model: JsonReader): [left: string, right: string][] {
  const merges = model.optionalList('merges');
  if (!merges) throw model.wrong('merges', 'a list');
  return merges.map((merge) => {
    const [left, right, ...more] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
    if (typeof left === 'string' && typeof right === 'string' && left && right && more.length === 0)
      return [left, right];
    throw vocabularyError(`A merge of tokenizer.json is ${JSON.stringify(merge)}, no pair.`, {});
  });
}

function addedTokens(file: JsonReader): AddedToken[] {
  return (file.optionalList('added_tokens') ?? []).map((value) => {
    const entry = JsonReader.of(file.file, 'added_tokens', value);
    return addedToken(entry, entry.count('id'));
  });
}

function withScores(
  pieces: Piece[],
  merges: readonly (readonly [string, string])[],
  added: readonly AddedToken[],
  unknown: string | null,
): Piece[] {
  const addedTexts = new Set(added.map(({ content }) => content));
  const normal = new Set(pieces.filter((piece) => piece?.type === TokenType.normal).map((piece) => piece!.text));
  for (const text of addedTexts) normal.delete(text);
  const scores = scoresOfMerges(merges, (text) => normal.has(text));
  const scored = pieces.map((piece) => piece && { ...piece, score: scores.get(piece.text) ?? -scores.size });
  addTokens(scored, added, unknown);
  return scored;
}

function checkNormalizer(normalizer: Json | undefined): void {
  const steps = isObject(normalizer) && Array.isArray(normalizer.normalizers) ? normalizer.normalizers : [normalizer];
  for (const step of steps as readonly Json[]) {
    const type = isObject(step) ? step.type : undefined;
    if (type === undefined || UNHEARD.includes(String(type))) continue;
    throw vocabularyError(`tokenizer.json normalizes text by ${String(type)}, which Floe does not.`, {});
  }
}

/** SentencePiece's leading space: a step that prepends one, or splits at spaces and says so. */
function hasSpacePrefix(file: JsonReader): boolean {
  const says = (value: Json | undefined): boolean => {
    if (Array.isArray(value)) return (value as readonly Json[]).some(says);
    if (!isObject(value)) return false;
    if (value.type === 'Prepend') return true;
    if (value.type === 'Metaspace')
      return (value.prepend_scheme ?? 'always') !== 'never' && value.add_prefix_space !== false;
    return says(value.normalizers) || says(value.pretokenizers);
  };
  return says(file.get('normalizer')) || says(file.get('pre_tokenizer'));
}

/** Whether a text gets a token before or behind it, by the template of a text alone. */
function endsOf(processor: Json | undefined): Pick<Vocabulary, 'addBos' | 'addEos'> {
  const template = templateOf(processor);
  if (!template) return { addBos: null, addEos: null };
  const isSpecial = (part: Json | undefined) => isObject(part) && part.SpecialToken !== undefined;
  return { addBos: isSpecial(template[0]), addEos: isSpecial(template.at(-1)) };
}

function templateOf(processor: Json | undefined): readonly Json[] | null {
  if (!isObject(processor)) return null;
  if (processor.type === 'TemplateProcessing' && Array.isArray(processor.single))
    return processor.single as readonly Json[];
  if (!Array.isArray(processor.processors)) return null;
  return (processor.processors as readonly Json[]).map(templateOf).find((template) => template !== null) ?? null;
}
