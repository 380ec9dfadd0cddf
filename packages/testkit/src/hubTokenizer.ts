/** A tokenizer's files as hubs hold them, from GGUF's metadata: what llama.cpp's converters do, backwards. */
import type { MetadataInput } from './ggufWriter.ts';

const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

type Metadata = Readonly<Record<string, MetadataInput>>;

interface Listed {
  readonly tokens: readonly string[];
  readonly types: ArrayLike<number>;
  readonly scores: ArrayLike<number>;
}

const utf8 = new TextEncoder();
const json = (value: unknown) => utf8.encode(JSON.stringify(value));

/** tokenizer.json or tokenizer.model, and tokenizer_config.json. */
export function hubTokenizer(
  metadata: Metadata,
  file: 'tokenizer.json' | 'tokenizer.model',
): [name: string, bytes: Uint8Array][] {
  const listed: Listed = {
    tokens: metadata['tokenizer.ggml.tokens'] as readonly string[],
    types: metadata['tokenizer.ggml.token_type'] as Int32Array,
    scores: (metadata['tokenizer.ggml.scores'] ?? []) as Float32Array,
  };
  const bytes = file === 'tokenizer.json' ? json(tokenizerJson(metadata, listed)) : sentencePiece(listed);
  return [
    [file, bytes],
    ['tokenizer_config.json', json(settings(metadata, listed))],
  ];
}

function settings(metadata: Metadata, { tokens, types }: Listed): Record<string, unknown> {
  const token = (name: string) => tokens[Number(metadata[`tokenizer.ggml.${name}_token_id`])];
  const special = [...tokens.keys()].filter((id) => types[id] === CONTROL);
  return {
    // Both ways that there are to say it.
    bos_token: token('bos') ?? null,
    eos_token: token('eos') === undefined ? null : { content: token('eos'), special: true },
    add_bos_token: metadata['tokenizer.ggml.add_bos_token'],
    add_prefix_space: metadata['tokenizer.ggml.add_space_prefix'],
    chat_template: metadata['tokenizer.chat_template'],
    added_tokens_decoder: Object.fromEntries(special.map((id) => [id, { content: tokens[id], special: true }])),
  };
}

function tokenizerJson(metadata: Metadata, listed: Listed): unknown {
  const { tokens, types } = listed;
  const isByteLevel = metadata['tokenizer.ggml.model'] === 'gpt2';
  const isAdded = (id: number) => [UNKNOWN, CONTROL, USER_DEFINED].includes(types[id]!);
  const added = [...tokens.keys()].filter(isAdded);
  // SentencePiece's own are in both lists; of the others a file names none that is unused.
  const inVocab = [...tokens.keys()].filter((id) => types[id] !== UNUSED && !(isByteLevel && isAdded(id)));
  const common = {
    version: '1.0',
    added_tokens: added.map((id) => ({ id, content: tokens[id], special: types[id] !== USER_DEFINED })),
  };
  const vocab = Object.fromEntries(inVocab.map((id) => [tokens[id], id]));
  if (isByteLevel) {
    const merges = metadata['tokenizer.ggml.merges'] as readonly string[];
    const pre = String(metadata['tokenizer.ggml.pre']);
    return {
      ...common,
      normalizer: null,
      pre_tokenizer: preTokenizer(pre),
      post_processor: { type: 'ByteLevel' },
      model: { type: 'BPE', unk_token: null, byte_fallback: false, ignore_merges: pre === 'llama-bpe', vocab, merges },
    };
  }
  return {
    ...common,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    },
    model: { type: 'BPE', unk_token: '<unk>', byte_fallback: true, vocab, merges: mergesOf(listed) },
  };
}

/** As the hubs' files of GPT-2, Llama 3 and Qwen2 have it. */
function preTokenizer(pre: string): unknown {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: pre === 'gpt-2' };
  if (pre === 'gpt-2') return byteLevel;
  const digits = { 'llama-bpe': '\\p{N}{1,3}', qwen2: '\\p{N}' }[pre];
  if (digits === undefined) throw new Error(`${pre} is not known here`);
  const Regex =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" +
    `${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
  const split = { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false };
  return { type: 'Sequence', pretokenizers: [split, byteLevel] };
}

/** As transformers' converter lists them: each pair that makes a piece, those of the best piece first. */
function mergesOf({ tokens, scores }: Listed): [string, string][] {
  const known = new Set(tokens);
  const merges: { pair: [string, string]; score: number }[] = [];
  for (const [id, token] of tokens.entries()) {
    const symbols = Array.from(token);
    for (let cut = 1; cut < symbols.length; cut++) {
      const [left, right] = [symbols.slice(0, cut).join(''), symbols.slice(cut).join('')];
      if (known.has(left) && known.has(right)) merges.push({ pair: [left, right], score: scores[id]! });
    }
  }
  return merges.sort((a, b) => b.score - a.score).map(({ pair }) => pair);
}

/** ModelProto: pieces (field 1) with text, score and type; trainer_spec (2) with model_type BPE; normalizer_spec (3). */
function sentencePiece({ tokens, types, scores }: Listed): Uint8Array {
  const pieces = tokens.flatMap((token, id) => {
    const score = new Uint8Array(Float32Array.of(scores[id]!).buffer);
    return field(1, [...field(1, [...utf8.encode(token)]), 0x15, ...score, 0x18, types[id]!]);
  });
  return Uint8Array.from([...pieces, ...field(2, [0x18, 2]), ...field(3, [0x18, 1])]);
}

/** A field of bytes. */
function field(number: number, bytes: readonly number[]): number[] {
  const length: number[] = [];
  for (let left = bytes.length; left > 0 || length.length === 0; left = Math.floor(left / 128)) {
    length.push((left % 128) + (left >= 128 ? 128 : 0));
  }
  return [number * 8 + 2, ...length, ...bytes];
}
