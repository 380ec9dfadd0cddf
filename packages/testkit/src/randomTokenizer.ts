import type { MetadataInput } from './ggufWriter.ts';

const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const BYTE = 6;
/** The last three tokens; the chat template uses two of them. */
const CONTROL_TOKENS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
const LETTERS = [...'etaoinshrdlucmfwypvbgkjqxzETAOINSHRDLUCMFWYPVBGKJQXZ0123456789'];
/** A space, as byte-level BPE writes it. */
const SPACE = 'Ġ';
/** And as SentencePiece and BERT's vocabularies do. */
const WORD = '▁';

/** Below this there is no room for 256 bytes and the control tokens. */
export const MIN_VOCAB = 256 + CONTROL_TOKENS.length;
/** SentencePiece's specials, the bytes, two markers and the space. */
const MIN_LLAMA = 3 + 256 + 2 + 1;

const CHATML =
  "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}" +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';

export type TokenizerKind = 'gpt2' | 'llama' | 'bert' | 't5';

/**
 * Metadata of a tokenizer of exactly `nVocab` tokens, `MIN_VOCAB` and three more always suffice, of any kind: byte-level BPE by itself. Any
 * text can be tokenized; 'bert' and 't5' know letters and digits, and have an unknown token for the rest. The kinds for
 * decoders have a chat template.
 */
export function randomTokenizer(nVocab: number, kind: TokenizerKind = 'gpt2'): Record<string, MetadataInput> {
  const least = kind === 'llama' ? MIN_LLAMA : MIN_VOCAB;
  if (nVocab < least) throw new Error(`a vocabulary has at least ${least} tokens, not ${nVocab}`);
  return kinds[kind](nVocab);
}

const kinds: Readonly<Record<TokenizerKind, (nVocab: number) => Record<string, MetadataInput>>> = {
  gpt2: (nVocab) => {
    const bytes = Array.from({ length: 256 }, (_, byte) => byteSymbol(byte));
    const merges = mergesOf(nVocab - MIN_VOCAB);
    const tokens = [...bytes, ...merges.map((pair) => pair.join('')), ...CONTROL_TOKENS];
    return {
      ...listed('gpt2', tokens, (token) => (CONTROL_TOKENS.includes(token) ? CONTROL : NORMAL)),
      'tokenizer.ggml.pre': 'gpt-2',
      'tokenizer.ggml.merges': merges.map((pair) => pair.join(' ')),
      'tokenizer.ggml.bos_token_id': tokens.indexOf('<|endoftext|>'),
      'tokenizer.ggml.eos_token_id': tokens.indexOf('<|im_end|>'),
      'tokenizer.ggml.add_bos_token': false,
      'tokenizer.chat_template': CHATML,
    };
  },
  llama: (nVocab) => {
    const special = ['<unk>', '<s>', '</s>'];
    const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
    const markers = ['<|im_start|>', '<|im_end|>'];
    const tokens = filled(nVocab, [...special, ...markers, ...bytes], pieces);
    const typeOf = (token: string, id: number) =>
      id === 0 ? UNKNOWN : id < special.length + markers.length ? CONTROL : bytes.includes(token) ? BYTE : NORMAL;
    return {
      ...listed('llama', tokens, typeOf),
      // SentencePiece's merges: those further up go first.
      'tokenizer.ggml.scores': Float32Array.from(tokens, (_, id) => -id),
      'tokenizer.ggml.eos_token_id': tokens.indexOf('<|im_end|>'),
      'tokenizer.chat_template': CHATML,
    };
  },
  bert: (nVocab) => {
    const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
    const inside = pieces().filter((piece) => !piece.startsWith(WORD) && piece === piece.toLowerCase());
    const tokens = filled(nVocab, special, () => inside.flatMap((piece) => [WORD + piece, piece]));
    const typeOf = (_: string, id: number) => (id === 1 ? UNKNOWN : id < special.length ? CONTROL : NORMAL);
    return {
      ...listed('bert', tokens, typeOf),
      'tokenizer.ggml.bos_token_id': 2,
      'tokenizer.ggml.cls_token_id': 2,
      'tokenizer.ggml.seperator_token_id': 3,
      'tokenizer.ggml.unknown_token_id': 1,
      'tokenizer.ggml.padding_token_id': 0,
      'tokenizer.ggml.mask_token_id': 4,
    };
  },
  t5: (nVocab) => {
    const special = ['<s>', '<pad>', '</s>', '<unk>'];
    const tokens = filled(nVocab, special, pieces);
    const typeOf = (_: string, id: number) => (id === 3 ? UNKNOWN : id < special.length ? CONTROL : NORMAL);
    return {
      ...listed('t5', tokens, typeOf),
      // Log-probabilities: a longer piece costs less than what it is made of.
      'tokenizer.ggml.scores': Float32Array.from(tokens, (_, id) => (id < special.length ? 0 : -5 - id / nVocab)),
      'tokenizer.ggml.bos_token_id': 0,
      'tokenizer.ggml.eos_token_id': 2,
      'tokenizer.ggml.unknown_token_id': 3,
      'tokenizer.ggml.padding_token_id': 1,
      'tokenizer.ggml.add_bos_token': true,
      'tokenizer.ggml.add_eos_token': true,
      'tokenizer.ggml.add_space_prefix': true,
      'tokenizer.ggml.remove_extra_whitespaces': true,
    };
  },
};

function listed(
  model: TokenizerKind,
  tokens: readonly string[],
  typeOf: (token: string, id: number) => number,
): Record<string, MetadataInput> {
  return {
    'tokenizer.ggml.model': model,
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': Int32Array.from(tokens, typeOf),
  };
}

/** Exactly `nVocab`: `first`, as many pieces as there is room for, and unused ones where they end. */
function filled(nVocab: number, first: readonly string[], pieces: () => readonly string[]): string[] {
  const tokens = [...first, ...pieces()].slice(0, nVocab);
  return [...tokens, ...Array.from({ length: nVocab - tokens.length }, (_, i) => `[unused${i}]`)];
}

/** A space, the letters, and letters that were added to them, of a word's beginning and of its inside. */
function pieces(): string[] {
  const merged = mergesOf(4000).map((pair) => pair.join('').replace(SPACE, WORD));
  return [...new Set([WORD, ...LETTERS, ...merged])];
}

/** Every merge adds one letter to a token there was before, so each makes another string. */
function mergesOf(n: number): [string, string][] {
  const merges: [string, string][] = [];
  const lefts = [SPACE, ...LETTERS];
  for (let i = 0; merges.length < n; i++) {
    for (const letter of LETTERS) {
      if (merges.length === n) break;
      merges.push([lefts[i]!, letter]);
      lefts.push(lefts[i]! + letter);
    }
  }
  return merges;
}

/** GPT-2's printable stand-ins: a byte that prints is itself, the others follow from 256 on, in order. */
function byteSymbol(byte: number): string {
  if (prints(byte)) return String.fromCodePoint(byte);
  let rank = 0;
  for (let other = 0; other < byte; other++) if (!prints(other)) rank++;
  return String.fromCodePoint(256 + rank);
}

function prints(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}
