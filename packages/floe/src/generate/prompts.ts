/** Prompts: a conversation's next tokens, many at once. One prompt after another has these buffers. */
import { type Graph, Readback, readBuffer } from '../gpu/index.ts';
import { WIDE_TOKENS } from '../kernels/index.ts';
import type { KvStep } from '../kv/index.ts';
import {
  type Activations,
  makeActivations,
  recordChunk,
  recordHead,
  recordSpan,
  type StepSizes,
} from '../model/index.ts';
import { rowStride } from '../quant/index.ts';
import { KeptGraphs } from './keptGraphs.ts';
import { type Draw, type PendingId, Picker, type Picking } from './pick.ts';
import { type PromptHooks, PromptRunner } from './promptRunner.ts';
import type { EngineParts, Seat } from './steps.ts';

/** What a prompt's owner wants to know and decide. */
export type PromptTurn = Pick<PromptHooks, 'beforeUnit' | 'aside' | 'signal'>;

/** Tokens of a chunk on a software adapter until the kernels of the longer one are compiled. */
const FIRST_CHUNK = WIDE_TOKENS - 16;
/** Tokens of prompts after which these kernels are worth their compile. */
const WORTH_TOKENS = 512;

export class Prompts {
  readonly s: Activations;
  /** Hears of a prompt's routes, layer by layer: [nTokens · nExpertsUsed] ids from the prompt's token `first`. */
  onRoutes: ((layer: number, first: number, ids: Uint32Array) => void) | undefined;
  /** Tokens that go through attention together. */
  chunkTokens: number;
  private readonly picker: Picker;
  private readonly graphs: KeptGraphs;
  private readonly runner: PromptRunner;
  private readonly readback: Readback;
  private nTokens = 0;

  constructor(
    private readonly parts: EngineParts,
    sizes: StepSizes,
  ) {
    const { device, model, clock } = parts;
    this.s = makeActivations(device, model.plan, sizes);
    this.picker = new Picker(device, this.s, model.plan, 1);
    this.graphs = new KeptGraphs(device, this.s.fault, ['chunk', 'span']);
    this.runner = new PromptRunner(device, this.s, model.plan.shape, model.experts, clock);
    this.readback = new Readback(device, 4);
    this.chunkTokens = device.family === 'thread' ? Math.min(FIRST_CHUNK, sizes.chunkTokens) : sizes.chunkTokens;
  }

  /** Compiles what greedy answers need; the sampler and a prompt's last few tokens are begun and not waited for. */
  async warmUp(): Promise<void> {
    const needed: Promise<unknown>[] = [this.head(1, 'greedy')];
    if (this.chunkTokens > 1) needed.push(this.chunk(this.chunkTokens));
    if (this.chunkTokens > 1 && this.parts.model.experts) needed.push(this.span(this.chunkTokens));
    await Promise.all(needed);
    // If it fails, the request that wants it will say so.
    this.head(1, 'sample').catch(() => {});
    if (this.s.sizes.chunkTokens > 2) this.chunk(2).catch(() => {});
  }

  /** Puts `ids` through the layers and picks the id that follows: `pickedIn` holds it, and the host may wait for it. */
  async pick(seat: Seat, ids: readonly number[], draw: Draw, turn: PromptTurn): Promise<PendingId> {
    const { device } = this.parts;
    const { graph } = await this.head(1, draw.picking.kind);
    const rowBytes = this.rowBytes;
    await this.run(seat, ids, turn, async (x, first, nTokens) => {
      if (first + nTokens < ids.length) return;
      this.picker.write([draw]);
      this.copyRows(x, (nTokens - 1) * rowBytes, rowBytes);
    });
    const encoder = device.gpu.createCommandEncoder();
    graph.encode(encoder);
    const pending = this.readback.copy(encoder, this.picker.sampled, 0, 4);
    device.submit(encoder.finish());
    return { wait: async () => new Uint32Array(await pending.wait())[0]! };
  }

  /** Where `pick` leaves the id, until the next prompt. */
  get pickedIn(): GPUBuffer {
    return this.s.tokens.buffer;
  }

  /** Logits [ids.length, nVocab] after each of `ids`. */
  async logits(seat: Seat, ids: readonly number[], turn: PromptTurn): Promise<Float32Array[]> {
    const { device, model } = this.parts;
    const { nVocab } = model.plan;
    const stride = rowStride(nVocab);
    const rows: Float32Array[] = [];
    await this.run(seat, ids, turn, async (x, _first, nTokens) => {
      for (let row = 0; row < nTokens; row += this.s.sizes.logitRows) {
        if (row > 0) await turn.beforeUnit();
        const n = Math.min(this.s.sizes.logitRows, nTokens - row);
        const { graph } = await this.head(n, null);
        this.copyRows(x, row * this.rowBytes, n * this.rowBytes);
        this.submit(graph);
        const bytes = await readBuffer(device, this.s.logits.buffer, 0, n * stride * 4);
        for (let i = 0; i < n; i++) rows.push(new Float32Array(bytes, i * stride * 4, nVocab));
      }
    });
    return rows;
  }

  /** The model's adapters are others: what was recorded is of another model. */
  async adaptersChanged(): Promise<void> {
    await this.s.adapters.fit(this.parts.model.adapters);
    await this.graphs.forget();
  }

  async destroy(): Promise<void> {
    await this.graphs.forget();
    this.runner.destroy();
    this.readback.destroy();
    this.picker.destroy();
    this.s.destroy();
  }

  private async run(
    { sequence, row }: Seat,
    ids: readonly number[],
    turn: PromptTurn,
    onSpan: (x: GPUBuffer, first: number, nTokens: number) => Promise<void>,
  ): Promise<void> {
    const { kv, places, device } = this.parts;
    this.lengthenChunks(ids.length);
    // Chunks come in order, and again for each layer of a span: the later layers must see the table as the first one did.
    const steps = new Map<number, KvStep>();
    const writeChunk = (first: number, nTokens: number) => {
      const known = steps.get(first);
      const step = known ?? sequence.extend(nTokens);
      if (known) kv.writeTable(row, step.table);
      else kv.prepare(row, step);
      steps.set(first, step);
      device.write(this.s.tokens.buffer, 0, bytesOf(ids.slice(first, first + nTokens)));
      const positions = Array.from({ length: nTokens }, (_, i) => step.first + i);
      places.write(
        this.s,
        positions.map((position) => ({ position, row })),
      );
    };
    const programs = { chunk: (n: number) => this.chunk(n), span: (n: number) => this.span(n) };
    const hooks = { ...turn, writeChunk, onRoutes: this.onRoutes };
    const before = sequence.length;
    try {
      await this.runner.run(ids.length, this.chunkTokens, programs, hooks, onSpan);
      sequence.settle();
    } catch (error) {
      // What it has not put through all layers is nothing to go on from.
      sequence.rewind(sequence.canRewind(before) ? before : 0);
      throw error;
    }
  }

  /** A chunk of a prompt, but for its experts. */
  private chunk(nTokens: number) {
    const { model, kv } = this.parts;
    return this.graphs.get(`chunk ${nTokens}`, (rec) => ({ borders: recordChunk(rec, model, kv, this.s, nTokens) }));
  }

  /** The experts of a span of a prompt. */
  private span(nTokens: number) {
    const { model } = this.parts;
    return this.graphs.get(`span ${nTokens}`, (rec) => ({ cuts: recordSpan(rec, model, this.s, nTokens) }));
  }

  /** Logits of rows of the residual stream, and an id picked from the first where that is wanted. */
  private head(nRows: number, kind: Picking['kind'] | null) {
    return this.graphs.get(`head ${nRows} ${kind}`, (rec) => {
      recordHead(rec, this.parts.model, this.s, this.s.headIn, nRows);
      if (kind) this.picker.record(rec, kind, 1);
      return {};
    });
  }

  /** Begins to compile for long chunks once enough is asked; prompts take them from when they are ready. */
  private lengthenChunks(nTokens: number): void {
    const before = this.nTokens;
    this.nTokens += nTokens;
    if (before >= WORTH_TOKENS || this.nTokens < WORTH_TOKENS) return;
    const { chunkTokens } = this.s.sizes;
    this.chunk(chunkTokens)
      .then(() => {
        this.chunkTokens = chunkTokens;
      })
      .catch(() => {});
  }

  private get rowBytes(): number {
    return rowStride(this.parts.model.plan.shape.modelDim) * 4;
  }

  /** Rows of the residual stream to where the head reads them. */
  private copyRows(x: GPUBuffer, offset: number, sizeBytes: number): void {
    const { device } = this.parts;
    const encoder = device.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(x, offset, this.s.headIn.buffer, 0, sizeBytes);
    device.submit(encoder.finish());
  }

  private submit(graph: Graph): void {
    const { device } = this.parts;
    const encoder = device.gpu.createCommandEncoder();
    graph.encode(encoder);
    device.submit(encoder.finish());
  }
}

function bytesOf(ids: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(ids).buffer);
}
