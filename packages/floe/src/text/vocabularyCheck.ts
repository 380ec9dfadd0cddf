import { splitMerge, TokenType, type Vocabulary, vocabularyError } from './vocabulary.ts';

/** No real piece comes near; a file that does would make every lookup slow. */
const MAX_TOKEN_BYTES = 1024;
const BYTE_TOKEN = /^<0x[0-9A-F]{2}>$/;

/** Everything the tokenizer relies on later, found out once. Throws `text/vocabulary`, naming what stood there. */
export function checkVocabulary(vocab: Vocabulary): void {
  checkLengths(vocab);
  const known = checkTokens(vocab);
  checkIds(vocab);
  checkMerges(vocab, known);
}

function checkLengths({ tokens, scores, types, model }: Vocabulary): void {
  if (tokens.length === 0) throw vocabularyError('The vocabulary is empty.', { nVocab: 0 });
  for (const [name, list] of [
    ['scores', scores],
    ['token_type', types],
  ] as const) {
    if (list && list.length !== tokens.length) {
      throw vocabularyError(
        `There are ${tokens.length} tokens, but tokenizer.ggml.${name} has ${list.length} entries.`,
        {
          nVocab: tokens.length,
          nEntries: list.length,
        },
      );
    }
  }
  if ((model === 'llama' || model === 't5') && !scores) {
    throw vocabularyError(`A ${model} tokenizer goes by scores, and the file has no tokenizer.ggml.scores.`, { model });
  }
  const broken = scores?.findIndex((score) => !Number.isFinite(score)) ?? -1;
  if (broken >= 0) {
    throw vocabularyError(`The score of token ${broken} is ${scores?.[broken]}, no finite number.`, { id: broken });
  }
}

function checkTokens(vocab: Vocabulary): ReadonlyMap<string, number> {
  const known = new Map<string, number>();
  const encoder = new TextEncoder();
  for (const [id, token] of vocab.tokens.entries()) {
    // A UTF-16 unit is at most three bytes: only a long token needs to be counted.
    const bytes = token.length * 3 > MAX_TOKEN_BYTES ? encoder.encode(token).length : 0;
    if (bytes > MAX_TOKEN_BYTES) {
      throw vocabularyError(`Token ${id} is ${bytes} bytes long; at most ${MAX_TOKEN_BYTES} are read.`, { id, bytes });
    }
    if (vocab.types?.[id] === TokenType.byte && !BYTE_TOKEN.test(token)) {
      throw vocabularyError(`Token ${id} is a byte token with the text '${token}' instead of one like '<0x0A>'.`, {
        id,
      });
    }
    if (token === '') continue; // A hole in the ids: no text leads to it.
    const first = known.get(token);
    if (first !== undefined) {
      throw vocabularyError(`'${token}' is in the vocabulary twice, as ${first} and ${id}.`, { id, first });
    }
    known.set(token, id);
  }
  return known;
}

function checkIds(vocab: Vocabulary): void {
  for (const name of ['bosId', 'eosId', 'eotId', 'eomId', 'unkId', 'sepId', 'padId'] as const) {
    const id = vocab[name];
    if (id !== null && !(Number.isInteger(id) && id >= 0 && id < vocab.tokens.length)) {
      throw vocabularyError(`${name} is ${id}; the vocabulary has ids 0 to ${vocab.tokens.length - 1}.`, {
        name,
        id,
        nVocab: vocab.tokens.length,
      });
    }
  }
}

function checkMerges(vocab: Vocabulary, known: ReadonlyMap<string, number>): void {
  for (const [rank, merge] of vocab.merges.entries()) {
    const [left, right] = splitMerge(merge);
    if (!known.has(left) || !known.has(right)) {
      throw vocabularyError(`Merge ${rank} is '${merge}', which is not two pieces of the vocabulary.`, { rank, merge });
    }
  }
}
