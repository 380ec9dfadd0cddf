/** Runs steps of one conversation: tokens in, logits or a sampled id out. */
import { ContextError, throwIfAborted } from '../errors/index.ts';
import { type Device, type Graph, readBuffer } from '../gpu/index.ts';
import type { Clock } from '../host/index.ts';
import { WIDE_TOKENS } from '../kernels/index.ts';
import { KvPool, KvSequence, type KvStep } from '../kv/index.ts';
import {
  type Activations,
  type ContextPlan,
  contextPlan,
  denseRecords,
  kvWindow,
  makeActivations,
  type PlacedModel,
  type RopeFrequencies,
  ropeAngles,
  ropeTablesOf,
  routesFromInput,
  stepSizes,
  writePlaces,
} from '../model/index.ts';
import { rowStride } from '../quant/index.ts';
import { Decoder } from './decoder.ts';
import { Programs } from './programs.ts';
import { PromptRunner } from './prompt.ts';
import { AdaptiveSchedule, type Schedule } from './schedule.ts';

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

/** An id on its way. */
export interface PendingId {
  readonly wait: () => Promise<number>;
}

/** Tokens of a chunk on a software adapter until the kernels of the longer one are compiled. */
const FIRST_CHUNK = WIDE_TOKENS - 16;
/** Tokens of prompts after which these kernels are worth their compile. */
const WORTH_TOKENS = 512;
/** Layers ahead of which a guess is still better than none. */
const FARTHEST_GUESS = 3;

/** One conversation's place on the device: its cache, its activations and its recorded graphs. */
export class Runner {
  readonly kv: KvPool;
  readonly context: ContextPlan;
  readonly schedule: AdaptiveSchedule;
  readonly decoder: Decoder;
  readonly s: Activations;
  private readonly prompts: PromptRunner;
  private readonly programs: Programs;
  private readonly sampled: GPUBuffer;
  private readonly sampling: GPUBuffer;
  private readonly ropeTables: readonly RopeFrequencies[];
  private readonly sequence: KvSequence;
  /** The row of the block table as the device has it. */
  private table: Uint32Array | null = null;
  private chunkTokens: number;
  /** How places become angles: tests have conversations that are far along begin there. */
  anglesOf = ropeAngles;
  private promptTokens = 0;
  /** The step that may miss experts and runs by itself; the next one begins behind it. */
  private tail: Promise<unknown> = Promise.resolve();
  private nRunning = 0;
  /** The ids of the first positions, as far as they are known. */
  private held: readonly number[] = [];
  /** Hears of a prompt's routes, layer by layer: [nTokens · nExpertsUsed] ids from the prompt's token `first`. */
  onPromptRoutes: ((layer: number, first: number, ids: Uint32Array) => void) | undefined;

  constructor(
    readonly device: Device,
    readonly model: PlacedModel,
    /** What is remembered; or a number of positions, kept in F32, at whose end answers stop. */
    context: ContextPlan | number,
    clock: Clock,
    schedule: Partial<Schedule> = {},
    /** Whether experts may be loaded before they are wanted. */
    private readonly prefetch = true,
  ) {
    const { plan, experts } = model;
    this.context = contextPlan(context);
    this.ropeTables = ropeTablesOf(model, this.context.window);
    const sizes = stepSizes(plan, this.context);
    this.kv = new KvPool(device, plan.shape, this.context.kv, kvWindow(this.context, sizes.chunkTokens));
    this.sequence = new KvSequence(this.kv.blocks, this.kv.window);
    this.s = makeActivations(device, plan, sizes);
    this.sampled = device.buffers.storage('activations', 'sampled', 256);
    this.sampling = device.buffers.storage('activations', 'sampling', 256);
    const { kv, s, sampled, sampling } = this;
    this.programs = new Programs(device, model, { kv, s, sampled, sampling });
    this.schedule = new AdaptiveSchedule(plan.shape.nRoutedLayers, hidingShare(model), schedule);
    this.decoder = new Decoder(device, this.s, this.sampled, experts, this.schedule, clock);
    this.prompts = new PromptRunner(device, this.s, plan.shape, experts, clock);
    const { chunkTokens } = this.s.sizes;
    this.chunkTokens = device.family === 'thread' ? Math.min(FIRST_CHUNK, chunkTokens) : chunkTokens;
  }

  /**
   * Compiles what greedy decoding and the chunks of a prompt need. The sampler and the last few tokens of a prompt are
   * begun and not waited for: an answer may begin without them.
   */
  async warmUp(): Promise<void> {
    const needed: Promise<unknown>[] = [this.programs.decode('greedy'), this.programs.head(1, 'greedy')];
    if (this.chunkTokens > 1) needed.push(this.programs.chunk(this.chunkTokens));
    if (this.chunkTokens > 1 && this.model.experts) needed.push(this.programs.span(this.chunkTokens));
    await Promise.all(needed);
    // Where nothing can be missing, no schedule asks for it.
    if (this.model.experts?.allResident === false) await this.decoder.calibrate();
    // If it fails, the request that wants it will say so.
    this.programs.decode('sample').catch(() => {});
    this.programs.head(1, 'sample').catch(() => {});
    if (this.s.sizes.chunkTokens > 2) this.programs.chunk(2).catch(() => {});
  }

  /** Puts `ids` through the layers and picks the id that follows. */
  async prefill(
    ids: readonly number[],
    picking: Picking,
    u: number,
    onChunk: () => void,
    signal?: AbortSignal,
  ): Promise<PendingId> {
    const head = await this.programs.head(1, picking.kind);
    const rowBytes = rowStride(this.model.plan.shape.modelDim) * 4;
    const before = this.length;
    await this.runPrompt(ids, onChunk, signal, async (x, first, nTokens) => {
      if (first + nTokens < ids.length) return;
      this.writeSampling(picking, u);
      this.copyRows(x, (nTokens - 1) * rowBytes, rowBytes);
    });
    if (this.held.length === before) this.held = [...this.held, ...ids];
    return this.decoder.submit({
      graph: head.graph,
      cuts: { layers: [], end: head.graph.steps.length },
      guessAhead: 0,
    });
  }

  /**
   * Whether every expert has a slot, and no step is still on its way that began before: then steps are submitted whole, one
   * behind the other.
   */
  get cannotMiss(): boolean {
    return this.nRunning === 0 && (this.model.experts?.allResident ?? true);
  }

  /** One decode step. Its input is the id the step before picked, which never leaves the GPU; or one that is given. */
  async decode(picking: Picking, u: number, signal?: AbortSignal, given?: number): Promise<PendingId> {
    const complete = this.cannotMiss;
    const program = await this.programs.decode(picking.kind, complete ? 0 : this.guessAhead());
    this.checkRoom(1);
    const step = this.sequence.extend(1);
    const write = () => {
      this.writeSampling(picking, u);
      this.writePositions(step, 1);
      if (given !== undefined) this.device.write(this.s.tokens.buffer, 0, bytesOf(Uint32Array.of(given)));
    };
    if (complete) {
      write();
      return this.decoder.submit(program);
    }
    const id = this.tail.then(() => {
      write();
      return this.decoder.run(program, signal);
    });
    this.tail = id;
    this.nRunning++;
    const ended = () => {
      this.nRunning--;
    };
    // Whoever waits for it hears of its error.
    id.then(ended, ended);
    return { wait: () => id };
  }

  /** Logits [ids.length, nVocab] after each of `ids`; for log-probabilities. */
  async *logits(ids: readonly number[], onChunk: () => void, signal?: AbortSignal): AsyncGenerator<Float32Array> {
    const { nVocab, shape } = this.model.plan;
    const rowBytes = rowStride(shape.modelDim) * 4;
    const stride = rowStride(nVocab);
    const chunkTokens = Math.min(ids.length, this.chunkTokens);
    // One chunk after the other, so that no more than a chunk's logits are held.
    for (let at = 0; at < ids.length; at += chunkTokens) {
      const chunk = ids.slice(at, at + chunkTokens);
      const rows: ArrayBuffer[] = [];
      await this.runPrompt(chunk, onChunk, signal, async (x, _first, nTokens) => {
        for (let row = 0; row < nTokens; row += this.s.sizes.logitRows) {
          const n = Math.min(this.s.sizes.logitRows, nTokens - row);
          const { graph } = await this.programs.head(n, null);
          this.copyRows(x, row * rowBytes, n * rowBytes);
          this.submit(graph);
          rows.push(await readBuffer(this.device, this.s.logits.buffer, 0, n * stride * 4));
        }
      });
      for (const bytes of rows) {
        for (let row = 0; row * stride * 4 < bytes.byteLength; row++)
          yield new Float32Array(bytes, row * stride * 4, nVocab);
      }
    }
  }

  /** Logits [nVocab] after each of `ids` but the first, each by a decode step of its own, from an empty cache. */
  async *replay(ids: readonly number[], signal?: AbortSignal): AsyncGenerator<Float32Array> {
    const { nVocab } = this.model.plan;
    this.rewind(0);
    await (await this.prefill(ids.slice(0, 1), { kind: 'greedy' }, 0, () => throwIfAborted(signal), signal)).wait();
    for (const id of ids.slice(1)) {
      throwIfAborted(signal);
      await (await this.decode({ kind: 'greedy' }, 0, signal, id)).wait();
      yield new Float32Array(await readBuffer(this.device, this.s.logits.buffer, 0, nVocab * 4));
    }
  }

  /** Positions so far; the next token's position. */
  get length(): number {
    return this.sequence.length;
  }

  /**
   * Goes back to the longest beginning that `ids` have in common with what the cache holds, as far as that is still all
   * there; at least their last is left, whose logits are wanted. How many they have in common: those need not be put through.
   */
  reuse(ids: readonly number[]): number {
    const most = Math.min(this.held.length, this.length, ids.length - 1);
    let nShared = 0;
    while (nShared < most && this.held[nShared] === ids[nShared]) nShared++;
    const kept = this.sequence.canRewind(nShared) ? nShared : 0;
    this.rewind(kept);
    return kept;
  }

  /** Says which ids were put through: a decode step's never left the GPU. Those that were not are ignored. */
  holds(ids: readonly number[]): void {
    this.held = ids.slice(0, this.length);
  }

  /** Forgets what comes after the first `length` positions. */
  rewind(length: number): void {
    this.sequence.rewind(length);
    this.held = this.held.slice(0, length);
    this.tail = Promise.resolve();
  }

  /** Puts the next `nTokens` tokens into the cache's order, for a step that is recorded elsewhere. */
  place(nTokens: number): void {
    this.checkRoom(nTokens);
    this.writePositions(this.sequence.extend(nTokens), nTokens);
  }

  /** Waits for what is still being compiled, and gives everything back. */
  async destroy(): Promise<void> {
    await this.tail.catch(() => {});
    await this.programs.destroy();
    this.decoder.destroy();
    this.prompts.destroy();
    this.device.buffers.destroy(this.sampled);
    this.device.buffers.destroy(this.sampling);
    this.s.destroy();
    this.kv.destroy();
  }

  private async runPrompt(
    ids: readonly number[],
    onChunk: () => void,
    signal: AbortSignal | undefined,
    onSpan: (x: GPUBuffer, first: number, nTokens: number) => Promise<void>,
  ): Promise<void> {
    this.checkRoom(ids.length);
    this.lengthenChunks(ids.length);
    // Chunks come in order, and again for each layer of a span: the later layers must see the table as the first one did.
    const steps = new Map<number, KvStep>();
    const hooks = {
      beforeUnit: onChunk,
      writeChunk: (first: number, nTokens: number) => {
        const step = steps.get(first) ?? this.sequence.extend(nTokens);
        steps.set(first, step);
        this.device.write(this.s.tokens.buffer, 0, bytesOf(Uint32Array.from(ids.slice(first, first + nTokens))));
        this.writePositions(step, nTokens);
      },
      onRoutes: this.onPromptRoutes,
      signal,
    };
    await this.prompts.run(ids.length, this.chunkTokens, this.programs, hooks, onSpan);
    this.sequence.settle();
  }

  /** @throws {ContextError} `context/full`: the window does not slide, and has no room for so many more. */
  private checkRoom(nTokens: number): void {
    const { window, overflow } = this.context;
    const needed = this.length + nTokens;
    if (overflow !== 'slide' && needed > window) throw contextFull(needed, window);
  }

  /** Begins to compile for long chunks once enough is asked; prompts take them from when they are ready. */
  private lengthenChunks(nTokens: number): void {
    const before = this.promptTokens;
    this.promptTokens += nTokens;
    if (before >= WORTH_TOKENS || this.promptTokens < WORTH_TOKENS) return;
    const { chunkTokens } = this.s.sizes;
    this.programs
      .chunk(chunkTokens)
      .then(() => {
        this.chunkTokens = chunkTokens;
      })
      .catch(() => {});
  }

  /** Rows of the residual stream to where the head reads them. */
  private copyRows(x: GPUBuffer, offset: number, sizeBytes: number): void {
    const encoder = this.device.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(x, offset, this.s.headIn.buffer, 0, sizeBytes);
    this.device.submit(encoder.finish());
  }

  private submit(graph: Graph): void {
    const encoder = this.device.gpu.createCommandEncoder();
    graph.encode(encoder);
    this.device.submit(encoder.finish());
  }

  /** A guess must aim behind what is queued by the time it is read; farther than a few layers it is worth nothing. */
  private guessAhead(): number {
    const { runAhead } = this.schedule.choose(false);
    return this.prefetch && runAhead < FARTHEST_GUESS && this.decoder.guessesPay ? runAhead + 1 : 0;
  }

  private writeSampling(picking: Picking, u: number): void {
    if (picking.kind !== 'sample') return;
    const { temperature, topK, topP, minP } = picking;
    this.device.write(this.sampling, 0, bytesOf(new Float32Array([temperature, topK, topP, minP, u])));
  }

  /** Tells the step where its tokens are: blocks of the cache, positions, angles. */
  private writePositions({ first, table, copies }: KvStep, nTokens: number): void {
    const { kv, s, context, device, ropeTables } = this;
    if (copies.length > 0) {
      const encoder = device.gpu.createCommandEncoder();
      kv.copy(encoder, copies);
      device.submit(encoder.finish());
    }
    if (this.table !== table) kv.writeTable(0, table);
    this.table = table;
    const tokens = Array.from({ length: nTokens }, (_, i) => ({ position: first + i, row: 0 }));
    writePlaces(device, s, ropeTables, context.window, tokens, this.anglesOf);
  }
}

/** How much of a layer's bytes, and so about of its time, comes behind the routing and needs no experts. */
function hidingShare({ plan }: PlacedModel): number {
  if (!routesFromInput(plan)) return 0;
  const { experts, ...hidden } = plan.layers[0]!;
  const hiding = denseRecords(hidden).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return hiding / (hiding + plan.shape.nExpertsUsed * (experts?.records[0]?.sizeBytes ?? 0));
}

function bytesOf(values: Float32Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function contextFull(neededTokens: number, window: number): ContextError {
  return new ContextError('context/full', `${neededTokens} tokens are wanted; the window holds ${window}.`, {
    remedy: "Shorten the prompt, or load the model with a larger `context.window` or with `overflow: 'slide'`.",
    details: { neededTokens, window },
  });
}
