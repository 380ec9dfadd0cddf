/** llama.cpp, through node-llama-cpp: an engine we did not write, to compare with. One thread, F32 cache, on the CPU. */
import { getLlama, type Llama, LlamaLogLevel, type Token } from 'node-llama-cpp';
import { logSoftmax } from './expectNear.ts';

export interface Oracle {
  /**
   * Log-probabilities of the next token behind each of `ids`: one array of the vocabulary's length per position.
   * Nothing is kept from call to call.
   */
  readonly logprobs: (ids: readonly number[]) => Promise<Float64Array[]>;
  /** The most likely tokens one after another, until `end` or `nTokens`; `end` is not among them. */
  readonly greedy: (ids: readonly number[], nTokens: number, end?: number) => Promise<number[]>;
  /** Without BOS. `special`: texts of control tokens become those tokens. */
  readonly tokenize: (text: string, options?: { readonly special?: boolean }) => number[];
  readonly detokenize: (ids: readonly number[], options?: { readonly special?: boolean }) => string;
  /** The vector of a text by the file's pooling; the file must have been opened for that. */
  readonly vector: (ids: readonly number[]) => Promise<Float64Array>;
  readonly close: () => Promise<void>;
}

export interface OracleOptions {
  /** Tokenizer only: the file may have no tensors. */
  readonly vocabOnly?: boolean;
  /** LoRA adapters that act on it, and what each is weighed by. */
  readonly adapters?: readonly { readonly path: string; readonly scale: number }[];
  /** For vectors of texts, and nothing else. */
  readonly vectors?: boolean;
  /** Longest `ids`; default 512. */
  readonly nCtx?: number;
}

let engine: Promise<Llama> | undefined;

/** Opens a GGUF file with llama.cpp. Weights that are quantized are multiplied with quantized activations there. */
export async function openOracle(path: string, options: OracleOptions = {}): Promise<Oracle> {
  const { vocabOnly = false, vectors = false, nCtx = 512, adapters = [] } = options;
  const lora = { adapters: adapters.map(({ path: filePath, scale }) => ({ filePath, scale })) };
  engine ??= getLlama({
    gpu: false,
    build: 'never',
    maxThreads: 1,
    logLevel: LlamaLogLevel.error,
    // A fresh random file is no reason to look at the network or print.
    skipDownload: true,
    progressLogs: false,
  });
  const llama = await engine;
  // It first measures the memory of weights that aren't there, and would print that it can't.
  llama.logLevel = vocabOnly ? LlamaLogLevel.disabled : LlamaLogLevel.error;
  const model = await llama.loadModel({ modelPath: path, vocabOnly, gpuLayers: 0 });
  llama.logLevel = LlamaLogLevel.error;
  const context =
    vocabOnly || vectors
      ? null
      : await model.createContext({
          contextSize: nCtx,
          batchSize: nCtx,
          threads: 1,
          ...(adapters.length === 0 ? {} : { lora }),
          flashAttention: false,
          experimentalKvCacheKeyType: 'F32',
          experimentalKvCacheValueType: 'F32',
        });
  // A token more than the longest text, which it would refuse.
  const encoder = vectors
    ? await model.createEmbeddingContext({ contextSize: nCtx + 1, batchSize: nCtx + 1, threads: 1 })
    : null;
  const sequence = context?.getSequence();
  const toTokens = (ids: readonly number[]) => ids as readonly Token[];

  async function fresh() {
    if (!sequence) throw new Error(`${path} was opened for its vocabulary only`);
    await sequence.clearHistory();
    return sequence;
  }

  return {
    async logprobs(ids) {
      const output = await (await fresh()).controlledEvaluate(
        toTokens(ids).map((token) => [token, { generateNext: { logits: true } }]),
      );
      return output.map((position, at) => {
        const logits = position?.next.logits;
        if (!logits) throw new Error(`llama.cpp gave no logits behind token ${at} of ${path}`);
        const byId = new Float64Array(logits.size);
        for (const [id, logit] of logits) byId[id] = logit;
        return logSoftmax(byId);
      });
    },
    async greedy(ids, nTokens, end) {
      const answer: number[] = [];
      for await (const token of (await fresh()).evaluate([...toTokens(ids)], { temperature: 0 })) {
        if (token === end) break;
        answer.push(token);
        if (answer.length === nTokens) break;
      }
      return answer;
    },
    tokenize: (text, { special = false } = {}) => model.tokenize(text, special),
    detokenize: (ids, { special = false } = {}) => model.detokenize(toTokens(ids), special),
    async vector(ids) {
      if (!encoder) throw new Error(`${path} was not opened for vectors`);
      // It would add what is missing, and compare another text.
      if (encoder.calculateInputLength([...toTokens(ids)]) !== ids.length) throw new Error('the ids lack CLS or SEP');
      const { vector } = await encoder.getEmbeddingFor([...toTokens(ids)]);
      return Float64Array.from(vector);
    },
    async close() {
      await encoder?.dispose();
      await context?.dispose();
      await model.dispose();
    },
  };
}
