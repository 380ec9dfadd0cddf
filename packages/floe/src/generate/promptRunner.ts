/**
 * Puts a prompt through the layers. Layer by layer over spans of it, not chunk by chunk: each expert a span's tokens chose
 * is brought in once for all of them, in waves as large as the slots allow. Which wave computes a pair changes no bit of it.
 */
import type { ExpertCache } from '../experts/index.ts';
import { type Device, type Graph, Readback } from '../gpu/index.ts';
import type { Clock } from '../host/index.ts';
import { ABSENT } from '../kernels/index.ts';
import type { Activations, SpanCuts, StepSizes } from '../model/index.ts';
import { rowStride } from '../quant/index.ts';

/** A recorded chunk, cut behind each layer with experts: up to that of layer l it is the dispatches from [l] to [l + 1]. */
export interface ChunkProgram {
  readonly graph: Graph;
  readonly borders: readonly number[];
}

export interface SpanProgram {
  readonly graph: Graph;
  readonly cuts: readonly SpanCuts[];
}

export interface PromptPrograms {
  readonly chunk: (nTokens: number) => Promise<ChunkProgram>;
  readonly span: (nTokens: number) => Promise<SpanProgram>;
}

/** What is done around each unit of work. */
export interface PromptHooks {
  /** Before each submission: others have a step. Throws to stop. */
  readonly beforeUnit: () => Promise<void>;
  /** While the prompt waits for experts, others go on. */
  readonly aside: <T>(wait: Promise<T>) => Promise<T>;
  /** Writes a chunk's ids and positions, `first` counted from the prompt's beginning. */
  readonly writeChunk: (first: number, nTokens: number) => void;
  /** Told of each layer's routes in a span, [nTokens · nExpertsUsed]; nothing is read back without it where all is resident. */
  readonly onRoutes?: ((layer: number, first: number, ids: Uint32Array) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Submissions under way: a submit stays short, the device busy, and an abort is noticed soon. */
const IN_FLIGHT = 2;
/** Experts of a wave at the most: the next wave's come while this one computes. */
const WAVE_EXPERTS = 8;
/** Tokens at a prompt's end whose experts the answer will want most. */
const TAIL_TOKENS = 32;

interface Chunk {
  readonly first: number;
  readonly nTokens: number;
}

export class PromptRunner {
  private readonly readback: Readback;
  private readonly underWay: Promise<unknown>[] = [];

  constructor(
    private readonly device: Device,
    private readonly s: Activations,
    private readonly shape: { readonly nRoutedLayers: number; readonly modelDim: number },
    private readonly experts: ExpertCache | null,
    private readonly clock: Clock,
  ) {
    this.readback = new Readback(device, s.experts?.span.route.ids.sizeBytes ?? 4);
  }

  /** Runs `nTokens` of a prompt; `onSpan` is given each span's rows of the residual stream behind the last layer. */
  async run(
    nTokens: number,
    chunkTokens: number,
    programs: PromptPrograms,
    hooks: PromptHooks,
    onSpan: (x: GPUBuffer, first: number, nTokens: number) => Promise<void>,
  ): Promise<void> {
    const spanTokens = spanOf(this.s.sizes, chunkTokens, this.experts !== null);
    for (let first = 0; first < nTokens; first += spanTokens) {
      const n = Math.min(spanTokens, nTokens - first);
      const isLast = first + n === nTokens;
      if (this.experts) await this.runSpan(first, n, isLast, chunkTokens, programs, hooks, this.experts);
      else await this.runDense(first, n, programs, hooks);
      await onSpan(this.experts ? this.s.experts!.span.x.buffer : this.s.x.buffer, first, n);
    }
    this.device.throwIfFailed();
  }

  destroy(): void {
    this.readback.destroy();
  }

  private async runDense(first: number, nTokens: number, programs: PromptPrograms, hooks: PromptHooks): Promise<void> {
    await hooks.beforeUnit();
    const { graph } = await programs.chunk(nTokens);
    hooks.writeChunk(first, nTokens);
    await this.submit((encoder) => graph.encode(encoder));
  }

  private async runSpan(
    first: number,
    nTokens: number,
    isLast: boolean,
    chunkTokens: number,
    programs: PromptPrograms,
    hooks: PromptHooks,
    experts: ExpertCache,
  ): Promise<void> {
    const chunks = cut(nTokens, chunkTokens);
    const recorded = await Promise.all(chunks.map(({ nTokens }) => programs.chunk(nTokens)));
    const span = await programs.span(nTokens);
    let written = -1;
    for (let layer = 0; layer < this.shape.nRoutedLayers; layer++) {
      for (const [i, chunk] of chunks.entries()) {
        await hooks.beforeUnit();
        if (written !== i) hooks.writeChunk(first + chunk.first, chunk.nTokens);
        written = i;
        await this.submit((encoder) => this.encodeChunk(encoder, recorded[i]!, layer, chunk));
      }
      await hooks.beforeUnit();
      await this.runExperts(span, layer, { first, nTokens, isLast }, hooks, experts);
    }
    experts.token++;
  }

  /** A layer of a chunk but its experts; what the span's experts need of it is put in its rows of the span. */
  private encodeChunk(
    encoder: GPUCommandEncoder,
    program: ChunkProgram,
    layer: number,
    { first, nTokens }: Chunk,
  ): void {
    const { s } = this;
    const { span, chunkRoute } = s.experts!;
    const rowBytes = rowStride(this.shape.modelDim) * 4;
    const pairBytes = chunkRoute.nExpertsUsed * 4;
    const copy = (from: { buffer: GPUBuffer }, to: { buffer: GPUBuffer }, bytes: number) =>
      encoder.copyBufferToBuffer(from.buffer, 0, to.buffer, first * bytes, nTokens * bytes);
    if (layer > 0) encoder.copyBufferToBuffer(span.x.buffer, first * rowBytes, s.x.buffer, 0, nTokens * rowBytes);
    const pass = encoder.beginComputePass();
    program.graph.encodePart(pass, program.borders[layer]!, program.borders[layer + 1]!);
    pass.end();
    copy(s.x, span.x, rowBytes);
    copy(s.expertIn, span.expertIn, rowBytes);
    copy(chunkRoute.ids, span.route.ids, pairBytes);
    copy(chunkRoute.weights, span.route.weights, pairBytes);
  }

  private async runExperts(
    { graph, cuts }: SpanProgram,
    layer: number,
    span: { first: number; nTokens: number; isLast: boolean },
    hooks: PromptHooks,
    experts: ExpertCache,
  ): Promise<void> {
    const { group, wave, combine, end } = cuts[layer]!;
    if (experts.allResident && !hooks.onRoutes) {
      this.writeWave(experts.slots.row(layer));
      await this.submitPart(graph, group, end);
      return;
    }
    const ids = await this.readIds(span.nTokens);
    hooks.onRoutes?.(layer, span.first, ids);
    const keys = this.note(layer, ids, span, experts);
    let from = group;
    for (const one of wavesOf(keys, experts, layer)) {
      await hooks.beforeUnit();
      const startMs = this.clock.now();
      const release = await hooks.aside(experts.bring(one, hooks.signal));
      const stallMs = this.clock.now() - startMs;
      experts.count(layer, 'stallMs', stallMs);
      try {
        this.writeWave(waveRow(one, experts));
        await this.submitPart(graph, from, combine);
      } finally {
        release();
      }
      from = wave;
    }
    await this.submitPart(graph, combine, end);
  }

  private async readIds(nTokens: number): Promise<Uint32Array> {
    const { ids, nExpertsUsed } = this.s.experts!.span.route;
    const encoder = this.device.gpu.createCommandEncoder();
    const pending = this.readback.copy(encoder, ids.buffer, 0, nTokens * nExpertsUsed * 4);
    this.device.submit(encoder.finish());
    return new Uint32Array(await pending.wait());
  }

  /** Counts a layer's routes: the prompt's tail as an answer's tokens would count, the rest as one. The distinct keys, most tokens first. */
  private note(
    layer: number,
    ids: Uint32Array,
    { nTokens, isLast }: { nTokens: number; isLast: boolean },
    experts: ExpertCache,
  ): number[] {
    const { nExperts, nExpertsUsed } = experts.size;
    const [all, tail] = [new Uint32Array(nExperts), new Uint32Array(nExperts)];
    for (const [pair, expert] of ids.entries()) {
      all[expert]!++;
      if (isLast && Math.floor(pair / nExpertsUsed) >= nTokens - TAIL_TOKENS) tail[expert]!++;
    }
    const chosen = Array.from(all.keys()).filter((expert) => all[expert]! > 0);
    chosen.sort((a, b) => all[b]! - all[a]! || a - b);
    const wasThere = chosen.map((expert) => experts.pager.isNamed(experts.keyOf(layer, expert)));
    for (const [i, expert] of chosen.entries()) {
      const weight = tail[expert]! + (all[expert]! - tail[expert]!) / nTokens;
      experts.routed(layer, experts.keyOf(layer, expert), wasThere[i]!, all[expert]!, weight);
    }
    return chosen.map((expert) => experts.keyOf(layer, expert));
  }

  private writeWave(row: Uint32Array): void {
    const bytes = new Uint8Array(row.buffer, row.byteOffset, row.byteLength);
    this.device.write(this.s.experts!.waveTable.buffer, 0, bytes);
  }

  private submitPart(graph: Graph, from: number, to: number): Promise<void> {
    return this.submit((encoder) => {
      const pass = encoder.beginComputePass();
      graph.encodePart(pass, from, to);
      pass.end();
    });
  }

  private async submit(encode: (encoder: GPUCommandEncoder) => void): Promise<void> {
    const encoder = this.device.gpu.createCommandEncoder();
    encode(encoder);
    this.device.submit(encoder.finish());
    this.underWay.push(this.device.gpu.queue.onSubmittedWorkDone());
    if (this.underWay.length > IN_FLIGHT) await this.underWay.shift();
    this.device.throwIfFailed();
  }
}

/** Whole chunks; without experts a chunk is all that goes together. */
export function spanOf(sizes: StepSizes, chunkTokens: number, hasExperts: boolean): number {
  return hasExperts ? Math.max(1, Math.floor(sizes.spanTokens / chunkTokens)) * chunkTokens : chunkTokens;
}

function cut(nTokens: number, chunkTokens: number): Chunk[] {
  return Array.from({ length: Math.ceil(nTokens / chunkTokens) }, (_, i) => ({
    first: i * chunkTokens,
    nTokens: Math.min(chunkTokens, nTokens - i * chunkTokens),
  }));
}

/** Those that have a slot go first, all at once: they compute while the others come. */
function wavesOf(keys: readonly number[], experts: ExpertCache, layer: number): number[][] {
  const { pager } = experts;
  const here = keys.filter((key) => pager.isNamed(key));
  const coming = keys.filter((key) => !pager.isNamed(key));
  const size = mostExperts(pager.nSlots(layer));
  const waves = here.length > 0 ? [here] : [];
  for (let i = 0; i < coming.length; i += size) waves.push(coming.slice(i, i + size));
  return waves;
}

/** Experts of a wave at the most: half of the slots, so that it can come while the one before still has its own. */
export function mostExperts(nSlots: number): number {
  return Math.max(1, Math.min(WAVE_EXPERTS, Math.floor(nSlots / 2)));
}

/** [nExperts] the slots of one wave's experts. */
function waveRow(keys: readonly number[], experts: ExpertCache): Uint32Array {
  const row = new Uint32Array(experts.size.nExperts).fill(ABSENT);
  for (const key of keys) row[key % experts.size.nExperts] = experts.pager.slotOf[key]!;
  return row;
}
