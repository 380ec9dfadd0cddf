/**
 * tokenizer.model: SentencePiece's own file, a protocol buffer (sentencepiece_model.proto: pieces are field 1, the trainer's
 * settings 2, the normalizer's 3). For models whose folder has no tokenizer.json, as Arctic's.
 */
import { type Piece, TokenType, type Vocabulary, vocabularyError } from './vocabulary.ts';

export const SENTENCE_PIECE_FILE = 'tokenizer.model';

const BPE = 2;
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** @throws {TextError} `text/vocabulary`: it is damaged, or no BPE. */
export function readSentencePiece(bytes: Uint8Array): Vocabulary {
  const pieces: Piece[] = [];
  let modelType = 1;
  let addSpacePrefix = true;
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 1) pieces.push(readPiece(bytesOf(value)));
    if (field === 2) modelType = numberField(bytesOf(value), 3) ?? modelType;
    if (field === 3) addSpacePrefix = (numberField(bytesOf(value), 3) ?? 1) !== 0;
  }
  if (pieces.length === 0) throw damaged('it has no pieces');
  if (modelType !== BPE) {
    throw vocabularyError(`tokenizer.model is of type ${modelType}; Floe reads BPE (${BPE}).`, { modelType });
  }
  return { model: 'llama', pieces, pre: null, merges: [], addBos: null, addEos: null, addSpacePrefix };
}

function readPiece(bytes: Uint8Array): Piece {
  let [text, score, type]: [string, number, number] = ['', 0, TokenType.normal];
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 1) text = utf8.decode(bytesOf(value));
    if (field === 2) score = new DataView(bytesOf(value).slice().buffer).getFloat32(0, true);
    if (field === 3) type = numberOf(value);
  }
  return { text, score, type };
}

interface Field {
  readonly field: number;
  /** A number, or bytes: four or eight of a fixed width, or as many as the file says. */
  readonly value: number | Uint8Array;
}

function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 2 ** 63) throw damaged(`a number at byte ${at} does not end`);
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw damaged(`${length} bytes at byte ${at} go beyond its end`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const key = varint();
    const [field, wireType] = [Math.floor(key / 8), key % 8];
    if (wireType === 0) yield { field, value: varint() };
    else if (wireType === 1) yield { field, value: take(8) };
    else if (wireType === 2) yield { field, value: take(varint()) };
    else if (wireType === 5) yield { field, value: take(4) };
    else throw damaged(`field ${field} is of the kind ${wireType}`);
  }
}

function numberField(bytes: Uint8Array, field: number): number | undefined {
  let found: number | undefined;
  for (const each of fieldsOf(bytes)) if (each.field === field) found = numberOf(each.value);
  return found;
}

function bytesOf(value: Field['value']): Uint8Array {
  if (typeof value === 'number') throw damaged(`it has the number ${value} where bytes should be`);
  return value;
}

function numberOf(value: Field['value']): number {
  if (typeof value !== 'number') throw damaged('it has bytes where a number should be');
  return value;
}

function damaged(what: string) {
  return vocabularyError(`tokenizer.model can't be read: ${what}.`, { what });
}
