import type { MetadataInput } from './ggufWriter.ts';

const NORMAL = 1;
const CONTROL = 3;
/** The last three tokens; the chat template uses two of them. */
const CONTROL_TOKENS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
const LETTERS = [...'etaoinshrdlucmfwypvbgkjqxzETAOINSHRDLUCMFWYPVBGKJQXZ0123456789'];
/** A space, as byte-level BPE writes it. */
const SPACE = 'Ġ';

/** Below this there is no room for 256 bytes and the control tokens. */
export const MIN_VOCAB = 256 + CONTROL_TOKENS.length;

const CHATML =
  "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}" +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';

/**
 * Metadata of a byte-level BPE tokenizer of exactly `nVocab` tokens: 256 bytes, as many merges of letters as there is
 * room for, and three control tokens. Any text can be tokenized with it.
 */
export function randomTokenizer(nVocab: number): Record<string, MetadataInput> {
  if (nVocab < MIN_VOCAB) throw new Error(`a vocabulary has at least ${MIN_VOCAB} tokens, not ${nVocab}`);
  const bytes = Array.from({ length: 256 }, (_, byte) => byteSymbol(byte));
  const merges = mergesOf(nVocab - MIN_VOCAB);
  const tokens = [...bytes, ...merges.map((pair) => pair.join('')), ...CONTROL_TOKENS];
  const id = (token: string) => tokens.indexOf(token);
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': Int32Array.from(tokens, (token) =>
      CONTROL_TOKENS.includes(token) ? CONTROL : NORMAL,
    ),
    'tokenizer.ggml.merges': merges.map((pair) => pair.join(' ')),
    'tokenizer.ggml.bos_token_id': id('<|endoftext|>'),
    'tokenizer.ggml.eos_token_id': id('<|im_end|>'),
    'tokenizer.ggml.add_bos_token': false,
    'tokenizer.chat_template': CHATML,
  };
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
