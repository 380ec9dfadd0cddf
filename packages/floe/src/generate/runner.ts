/** Runs steps of one conversation: tokens in, logits or a sampled id out. */
import { ContextError } from '../errors/index.ts';
import { type Device, type Graph, type PendingRead, Readback, Recorder, readBuffer, whole } from '../gpu/index.ts';
import { argmax, sample, WIDE_TOKENS } from '../kernels/index.ts';
import { KvCache } from '../kv/index.ts';
import {
  type Activations,
  makeActivations,
  type PlacedModel,
  recordStep,
  ropeAngles,
  type WantedLogits,
} from '../model/index.ts';
import { rowStride } from '../quant/index.ts';

/** How the next id is picked: the likeliest, or drawn with these parameters. */
export type Picking =
  | { readonly kind: 'greedy' }
  | {
      readonly kind: 'sample';
      readonly temperature: number;
      readonly topK: number;
      readonly topP: number;
      readonly minP: number;
    };

/** Tokens of a prompt that go through the layers together. */
const PROMPT_CHUNK = 128;
/** The same until the kernels of the longer chunk are compiled. */
const FIRST_CHUNK = WIDE_TOKENS - 16;
/** Tokens of prompts after which these kernels are worth their compile. */
const WORTH_TOKENS = 512;
/** Rows of logits kept at once when all are wanted. */
const LOGIT_ROWS = 16;
/** Graphs of prompt chunks kept; one of another length is recorded when it comes. */
const KEPT_GRAPHS = 8;

/** One conversation's place on the device: its cache, its activations and its recorded graphs. */
export class Runner {
  readonly kv: KvCache;
  private readonly s: Activations;
  private readonly graphs = new Map<string, Promise<Graph>>();
  private readonly sampled: GPUBuffer;
  private readonly sampling: GPUBuffer;
  private readonly readback: Readback;
  private chunkTokens: number;
  private promptTokens = 0;
  /** Positions the cache holds; the next token's position. */
  length = 0;

  constructor(
    readonly device: Device,
    readonly model: PlacedModel,
    readonly contextLength: number,
  ) {
    const { plan } = model;
    this.kv = new KvCache(device, plan.shape, contextLength);
    this.s = makeActivations(device, plan, Math.min(PROMPT_CHUNK, contextLength), Math.min(LOGIT_ROWS, contextLength));
    this.sampled = device.buffers.storage('activations', 'sampled', 256);
    this.sampling = device.buffers.storage('activations', 'sampling', 256);
    this.readback = new Readback(device, 4);
    this.chunkTokens = Math.min(FIRST_CHUNK, this.s.nTokens);
  }

  /**
   * Compiles what greedy decoding and the chunks of a prompt need. The sampler and the last few tokens of a prompt are
   * begun and not waited for: an answer may begin without them.
   */
  async warmUp(): Promise<void> {
    const greedy = this.graphOf(1, 'last', 'greedy');
    const prompt = this.chunkTokens > 1 ? this.graphOf(this.chunkTokens, 'none', null) : null;
    await Promise.all([greedy, prompt]);
    // If it fails, the request that wants it will say so.
    this.graphOf(1, 'last', 'sample').catch(() => {});
    if (this.s.nTokens > 2) this.graphOf(2, 'last', 'greedy').catch(() => {});
  }

  /** Puts all but the last of `ids` through the layers, and the last too, which picks the id that follows. */
  async prefill(ids: readonly number[], picking: Picking, u: number, onChunk: () => void): Promise<PendingRead> {
    if (this.length + ids.length > this.contextLength) throw contextFull(this.length + ids.length, this.contextLength);
    this.lengthenChunks(ids.length);
    let at = 0;
    while (ids.length - at > this.chunkTokens) {
      onChunk();
      const chunk = ids.slice(at, at + this.chunkTokens);
      at += chunk.length;
      const graph = await this.graphOf(chunk.length, 'none', null);
      this.writeTokens(chunk);
      this.writePositions(chunk.length);
      this.submit(graph);
      // One chunk in flight: a submit stays short, and an abort is noticed between chunks.
      await this.device.gpu.queue.onSubmittedWorkDone();
      this.device.throwIfFailed();
    }
    onChunk();
    const rest = ids.slice(at);
    const graph = await this.graphOf(rest.length, 'last', picking.kind);
    this.writeTokens(rest);
    this.writePositions(rest.length);
    return this.submitPick(graph, picking, u);
  }

  /** Begins to compile for long chunks once enough is asked; prompts take them from when they are ready. */
  private lengthenChunks(nTokens: number): void {
    const before = this.promptTokens;
    this.promptTokens += nTokens;
    if (before >= WORTH_TOKENS || this.promptTokens < WORTH_TOKENS) return;
    this.graphOf(this.s.nTokens, 'none', null)
      .then(() => {
        this.chunkTokens = this.s.nTokens;
      })
      .catch(() => {});
  }

  /** One decode step. Its input is the id the step before picked, which never leaves the GPU. */
  async decode(picking: Picking, u: number): Promise<PendingRead> {
    const graph = await this.graphOf(1, 'last', picking.kind);
    this.writePositions(1);
    return this.submitPick(graph, picking, u);
  }

  /** Logits [ids.length, nVocab] after each of `ids`, in chunks; for log-probabilities. */
  async *logits(ids: readonly number[], onChunk: () => void): AsyncGenerator<Float32Array> {
    const { nVocab } = this.model.plan;
    if (this.length + ids.length > this.contextLength) throw contextFull(this.length + ids.length, this.contextLength);
    for (let at = 0; at < ids.length; at += this.s.nLogitRows) {
      onChunk();
      const chunk = ids.slice(at, at + this.s.nLogitRows);
      const graph = await this.graphOf(chunk.length, 'all', null);
      this.writeTokens(chunk);
      this.writePositions(chunk.length);
      this.submit(graph);
      const stride = rowStride(nVocab);
      const bytes = await readBuffer(this.device, this.s.logits.buffer, 0, chunk.length * stride * 4);
      for (let row = 0; row < chunk.length; row++) yield new Float32Array(bytes, row * stride * 4, nVocab);
    }
  }

  /** Forgets what comes after the first `length` positions. */
  rewind(length: number): void {
    this.length = length;
  }

  /** Waits for what is still being compiled, and gives everything back. */
  async destroy(): Promise<void> {
    const graphs = await Promise.allSettled(this.graphs.values());
    for (const graph of graphs) if (graph.status === 'fulfilled') graph.value.destroy();
    this.readback.destroy();
    this.device.buffers.destroy(this.sampled);
    this.device.buffers.destroy(this.sampling);
    this.s.destroy();
    this.kv.destroy();
  }

  private submitPick(graph: Graph, picking: Picking, u: number): PendingRead {
    if (picking.kind === 'sample') {
      const { temperature, topK, topP, minP } = picking;
      this.device.write(this.sampling, 0, bytesOf(new Float32Array([temperature, topK, topP, minP, u])));
    }
    const encoder = this.device.gpu.createCommandEncoder();
    graph.encode(encoder);
    const pending = this.readback.copy(encoder, this.sampled);
    this.device.submit(encoder.finish());
    return pending;
  }

  private submit(graph: Graph): void {
    const encoder = this.device.gpu.createCommandEncoder();
    graph.encode(encoder);
    this.device.submit(encoder.finish());
  }

  private graphOf(nTokens: number, wanted: WantedLogits, pick: Picking['kind'] | null): Promise<Graph> {
    const key = `${nTokens} ${wanted} ${pick}`;
    const graph = this.graphs.get(key) ?? this.record(key, nTokens, wanted, pick);
    // Last used, last in the map.
    this.graphs.delete(key);
    this.graphs.set(key, graph);
    this.dropOldest();
    return graph;
  }

  private record(key: string, nTokens: number, wanted: WantedLogits, pick: Picking['kind'] | null): Promise<Graph> {
    const { device, model, s } = this;
    const rec = new Recorder(device, s.fault);
    recordStep(rec, model, this.kv, s, nTokens, wanted);
    const common = { logits: s.logits, sampled: whole(this.sampled), tokens: s.tokens, nVocab: model.plan.nVocab };
    if (pick === 'greedy') argmax(rec, common);
    if (pick === 'sample') sample(rec, { ...common, sampling: whole(this.sampling) });
    const graph = rec.finish(key);
    // One that failed is not kept: the next call tries again.
    graph.catch(() => this.graphs.delete(key));
    return graph;
  }

  /** Drops the graph of a prompt chunk that was not used for longest; those of one token stay. */
  private dropOldest(): void {
    const prompts = [...this.graphs].filter(([key]) => !key.startsWith('1 '));
    if (prompts.length <= KEPT_GRAPHS) return;
    const [key, graph] = prompts[0]!;
    this.graphs.delete(key);
    graph.then((made) => made.destroy()).catch(() => {});
  }

  private writeTokens(ids: readonly number[]): void {
    this.device.write(this.s.tokens.buffer, 0, bytesOf(Uint32Array.from(ids)));
  }

  /** Tells the step where its tokens are: positions, cache slots, how many keys each sees. */
  private writePositions(nTokens: number): void {
    const first = this.length;
    const slots = Uint32Array.from({ length: nTokens }, (_, i) => first + i);
    this.device.write(this.s.cacheSlots.buffer, 0, bytesOf(slots));
    this.device.write(this.s.nKeys.buffer, 0, bytesOf(slots.map((slot) => slot + 1)));
    const angles = ropeAngles(this.model.plan.shape, this.model.ropeFreqs, first, nTokens);
    this.device.write(this.s.angles.buffer, 0, bytesOf(angles));
    this.length += nTokens;
  }
}

function bytesOf(values: Float32Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function contextFull(neededTokens: number, contextLength: number): ContextError {
  return new ContextError('context/full', `${neededTokens} tokens are wanted; the context holds ${contextLength}.`, {
    remedy: 'Shorten the prompt, or load the model with a larger `contextLength`.',
    details: { neededTokens, contextLength },
  });
}
